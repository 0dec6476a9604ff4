/** What admins and other programs leave on the node for registries: hosts files and docker's config.json. */
import assert from 'node:assert/strict';
import t from 'tap';
import { dockerEntry, parseDockerConfig } from '../../../src/registry/docker-config.ts';
import { parseGoDuration } from '../../../src/registry/go-duration.ts';
import { FAILURES, type HostEntry, parseHostsFile } from '../../../src/registry/hosts-file.ts';
import { refusal } from '../../fixtures/fuzz/errors.ts';
import { growsLinearly } from '../../fixtures/fuzz/growth.ts';
import { oddJson } from '../../fixtures/fuzz/json.ts';
import { fuzz, property } from '../../fixtures/fuzz.ts';

const FILE = '/etc/berth/certs.d/reg.example/hosts.toml';

function checkEntry(entry: HostEntry): string {
  if (entry.url !== undefined) {
    assert(['http:', 'https:'].includes(entry.url.protocol), entry.url.href);
    assert.equal(entry.url.username + entry.url.password, '', 'a secret in an address');
  }
  for (const path of [...entry.ca, ...entry.client.flatMap(({ cert, key }) => [cert, key])]) assert(path.startsWith('/'), path);
  for (const [name, values] of Object.entries(entry.headers)) {
    assert.match(name, /^[!#$%&'*+.^_`|~0-9a-z-]+$/);
    for (const value of values) assert.doesNotMatch(value, /[\r\n\0]/, 'a header that is two');
    assert(!['host', 'authorization', 'content-length', 'transfer-encoding'].includes(name), name);
  }
  assert([...entry.fallback].every((failure) => FAILURES.includes(failure)));
  const wait = entry.dialTimeoutMs;
  assert(wait === undefined || (Number.isFinite(wait) && wait >= 0 && wait <= 300_000), `a wait of ${wait} ms`);
  return `${entry.capabilities?.size}${entry.fallback.size}${entry.overridePath}${entry.skipVerify}${Object.keys(entry.headers).length}`;
}

function checkHosts(text: string): string {
  try {
    const { hosts, server } = parseHostsFile(text, FILE);
    assert(hosts.length <= 32);
    return [server, ...hosts].map(checkEntry).join();
  } catch (error) {
    return refusal(error, 'precondition', 'CONFIG_INVALID');
  }
}

t.test('hosts files', async (t) => {
  await fuzz(t, {
    name: 'hosts-file',
    seeds: [
      'server = "https://a.io"\n[host."https://m.io:5000/v2/x"]\ncapabilities = ["pull", "resolve"]\noverride_path = true\n',
      '[host."http://m"]\nskip_verify = true\nca = ["a.pem", "/b.pem"]\nclient = [["c", "k"], ["d", ""], "e"]\ndial_timeout = "1m30s"\nfallback = "never"\n',
      '[host."m".header]\nX-A = ["1", "2"]\nx-b = "3"\n[host.n]\nfallback = ["connect", "404"]\n',
    ],
    dictionary: [
      '[host."',
      '"]',
      'server = ',
      'capabilities',
      'header',
      'dial_timeout = "',
      '9999h',
      '__proto__',
      'https://u:p@h',
      '://',
      '\\r\\n',
      '\\u0000',
      '"""',
      '[[',
      '{',
    ],
    check: (input) => checkHosts(input.toString()),
  });
});

t.test('docker’s config.json', async (t) => {
  const entry = { auth: Buffer.from('u:p').toString('base64'), username: 'u', password: 'p', identitytoken: 'i', registrytoken: 'r' };
  const document = {
    auths: { 'reg.example': entry, 'https://index.docker.io/v1/': entry },
    credHelpers: { 'reg.example': 'ecr-login' },
    credsStore: 'pass',
  };
  await fuzz(t, {
    name: 'docker-config',
    seeds: ['{}', JSON.stringify(document)],
    dictionary: ['"auths":', '"credHelpers":', '"credsStore":', '../../bin/sh', '__proto__', ';', '\\u0000'],
    generate: (random) => oddJson(random, document),
    check(input) {
      try {
        const config = parseDockerConfig(input.toString(), '/root/.docker/config.json');
        const found = ['reg.example', 'docker.io', '__proto__', 'constructor'].map((host) => {
          const { ownHelper, credentials, store } = dockerEntry(config, host);
          for (const helper of [ownHelper, store]) assert(helper === undefined || /^[A-Za-z0-9._-]+$/.test(helper), `a program ${helper}`);
          for (const value of Object.values(credentials ?? {})) assert.equal(typeof value, 'string');
          return `${credentials?.kind} ${ownHelper === undefined} ${store === undefined}`;
        });
        return found.join();
      } catch (error) {
        return refusal(error, 'precondition', 'CONFIG_INVALID');
      }
    },
  });
});

t.test('durations add up', async (t) => {
  const units = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1e3, m: 6e4, h: 3.6e6 };
  await property(t, {
    name: 'durations',
    inputs: 2000,
    generate: (random) =>
      random.list(1, 4, () => ({
        amount: random.below(1e4) / random.pick([1, 10, 8]),
        unit: random.pick(Object.keys(units) as (keyof typeof units)[]),
      })),
    check(parts) {
      const wanted = parts.reduce((total, { amount, unit }) => total + amount * units[unit], 0);
      const read = parseGoDuration(parts.map(({ amount, unit }) => `${amount}${unit}`).join('')) ?? Number.NaN;
      assert(Math.abs(read - wanted) <= wanted * 1e-9, `${read} for ${wanted}`);
    },
  });
});

t.test('the work is in proportion to the length', async (t) => {
  for (const piece of ['1', '.', '1.', '1s', 'm', '1ms'])
    growsLinearly(`duration ${piece}`, 2000, (size) => `${piece.repeat(size)}!`, parseGoDuration);
  for (const piece of ['[', 'a=[', 'a.', '[a]\n', '"', "'''", '#\n', 'a=1\n', ' ']) {
    growsLinearly(`TOML ${piece}`, 1000, (size) => piece.repeat(size), checkHosts);
  }
  t.pass();
});
