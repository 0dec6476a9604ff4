import t from 'tap';
import { formatAge, formatBytes, formatSeconds, formatTime, parseCpus, parseDuration, parseMemory } from '../../../src/cli/units.ts';

t.test('ages as kubectl writes them', async (t) => {
  const ages: [number, string][] = [
    [-5, '0s'],
    [0, '0s'],
    [59.9, '59s'],
    [119, '119s'],
    [120, '2m'],
    [200, '3m20s'],
    [600, '10m'],
    [179 * 60, '179m'],
    [3 * 3600, '3h'],
    [3 * 3600 + 300, '3h5m'],
    [9 * 3600 + 300, '9h'],
    [49 * 3600, '2d1h'],
    [8 * 86_400, '8d'],
    [800 * 86_400, '800d'],
  ];
  for (const [seconds, text] of ages) t.equal(formatSeconds(seconds), text, String(seconds));
});

t.test('the age of a time; nothing for an unset one', async (t) => {
  t.equal(formatAge('1000000000', 61_000_000_000n), '60s');
  t.equal(formatAge('0', 1n), '');
  t.equal(formatAge('', 1n), '');
  t.equal(formatAge(undefined, 1n), '');
  t.equal(formatTime('1767323045678901234'), '2026-01-02T03:04:05.678Z');
});

t.test('sizes', async (t) => {
  const sizes: [number, string][] = [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 KiB'],
    [4_509_715, '4.3 MiB'],
    [134_217_728, '128 MiB'],
    [1_073_741_824, '1.0 GiB'],
    [2 ** 60, '1024 PiB'],
  ];
  for (const [bytes, text] of sizes) t.equal(formatBytes(bytes), text, String(bytes));
});

t.test('durations', async (t) => {
  const durations: [string, number | undefined][] = [
    ['90s', 90],
    ['1h30m', 5400],
    ['500ms', 0.5],
    ['2d', 172_800],
    ['1.5m', 90],
    ['', undefined],
    ['5', undefined],
    ['s', undefined],
    ['5x', undefined],
    ['-5s', undefined],
  ];
  for (const [text, seconds] of durations) t.equal(parseDuration(text), seconds, text);
});

t.test('quantities', async (t) => {
  t.equal(parseMemory('64Mi'), 67_108_864n);
  t.equal(parseMemory('1.5Gi'), 1_610_612_736n);
  t.equal(parseMemory('500M'), 500_000_000n);
  t.equal(parseMemory('1'), 1n);
  for (const bad of ['', 'Mi', '1 Mi', '1Pi', '-1', '1mi']) t.equal(parseMemory(bad), undefined, bad);
  t.equal(parseCpus('2'), 2000);
  t.equal(parseCpus('0.25'), 250);
  t.equal(parseCpus('250m'), 250);
  for (const bad of ['', '0', '0m', 'x', '1.']) t.equal(parseCpus(bad), undefined, bad);
});
