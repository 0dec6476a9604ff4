import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { PartStore } from '../../../src/content/parts.ts';
import type { Digest } from '../../../src/ids/index.ts';

const LIMITS = { files: 3, bytes: 1000, ageMs: 60_000 };
const digest = (digit: string): Digest => `sha256:${digit.repeat(64)}` as Digest;
const nameOf = (digit: string): string => `${digit.repeat(64)}.part`;

function directory(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'berth-parts-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return join(dir, 'parts');
}

function open(t: Test, dir: string): PartStore {
  const store = new PartStore(dir, LIMITS);
  t.teardown(() => store[Symbol.dispose]());
  return store;
}

/** A part of `bytes`, last written `agoMs` ago. */
function lay(dir: string, name: string, { bytes = 10, agoMs = 0 } = {}): void {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, name), 'x'.repeat(bytes));
  const at = new Date(Date.now() - agoMs);
  utimesSync(join(dir, name), at, at);
}

t.test('a part is gone after its taker unless that keeps it', async (t) => {
  const dir = directory(t);
  const store = open(t, dir);
  {
    await using part = store.take(digest('a'));
    writeFileSync(part.path, 'some');
  }
  t.same(readdirSync(dir), []);
  {
    await using part = store.take(digest('a'));
    writeFileSync(part.path, 'some');
    part.keep();
  }
  t.same(readdirSync(dir), [nameOf('a')]);
  {
    await using part = store.take(digest('a'));
    t.ok(existsSync(part.path), 'the next taker finds it');
    await part.restart();
    t.notOk(existsSync(part.path));
    writeFileSync(part.path, 'anew');
    part.keep();
  }
  t.same(readdirSync(dir), [nameOf('a')]);
  {
    await using part = store.take(digest('b'));
    part.keep();
  }
  t.same(readdirSync(dir), [nameOf('a')], 'what was never written, or is empty, is not kept');
});

t.test('two takers of one blob never write into the same file', async (t) => {
  const dir = directory(t);
  const store = open(t, dir);
  {
    await using first = store.take(digest('a'));
    await using second = store.take(digest('a'));
    t.not(first.path, second.path);
    for (const part of [first, second]) writeFileSync(part.path, part === first ? 'first' : 'second');
    second.keep();
    first.keep();
  }
  t.same(readdirSync(dir), [nameOf('a')], 'the first one’s');
});

t.test('too old, too many, too large: the oldest go', async (t) => {
  const dir = directory(t);
  lay(dir, nameOf('0'), { agoMs: 61_000 });
  lay(dir, nameOf('1'), { agoMs: 40_000 });
  lay(dir, nameOf('2'), { agoMs: 30_000 });
  lay(dir, nameOf('3'), { agoMs: 20_000 });
  lay(dir, nameOf('4'), { agoMs: 10_000 });
  const store = open(t, dir);
  t.same(readdirSync(dir).sort(), ['2', '3', '4'].map(nameOf), 'at the start');
  {
    await using part = store.take(digest('5'));
    writeFileSync(part.path, 'x'.repeat(985));
    part.keep();
    t.ok(existsSync(join(dir, nameOf('2'))), 'what is taken does not count');
  }
  t.same(readdirSync(dir).sort(), ['4', '5'].map(nameOf), 'and when one is kept');
  {
    await using part = store.take(digest('6'));
    writeFileSync(part.path, 'x'.repeat(5000));
    part.keep();
  }
  t.same(readdirSync(dir), [nameOf('6')], 'the newest stays, large as it is, where there is room');
});

t.test('what is under no digest is deleted at the start', async (t) => {
  const dir = directory(t);
  lay(dir, 'own-1.part');
  lay(dir, 'a.part');
  lay(dir, nameOf('A'));
  lay(dir, nameOf('a'));
  mkdirSync(join(dir, 'directory'));
  open(t, dir);
  t.same(readdirSync(dir), [nameOf('a')]);
});

t.test('clear deletes all, and what is being downloaded is not kept', async (t) => {
  const dir = directory(t);
  lay(dir, nameOf('a'));
  const store = open(t, dir);
  {
    await using part = store.take(digest('b'));
    writeFileSync(part.path, 'some');
    await store.clear();
    t.same(readdirSync(dir), [nameOf('b')]);
    part.keep();
  }
  t.same(readdirSync(dir), []);
  {
    await using part = store.take(digest('b'));
    writeFileSync(part.path, 'some');
    part.keep();
  }
  t.same(readdirSync(dir), [nameOf('b')], 'a later download is');
});
