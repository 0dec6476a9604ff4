import t from 'tap';
import type { ImageIndex, Platform } from '../../../src/registry/manifest.ts';
import {
  amd64Level,
  candidatesFor,
  formatPlatform,
  hostPlatform,
  offeredPlatforms,
  platformMatches,
} from '../../../src/registry/platform.ts';

/** os/architecture[/variant] as a platform. */
function platform(text: string): Platform {
  const [os = '', architecture = '', variant] = text.split('/');
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

/** An index of these platforms; '' is an entry without one. The digest ends with the place in the list. */
const index = (...platforms: string[]): ImageIndex => ({
  kind: 'index',
  manifests: platforms.map((text, at) => ({
    mediaType: '',
    digest: `sha256:${String(at).padStart(64, '0')}` as ImageIndex['manifests'][number]['digest'],
    size: 1,
    ...(text === '' ? {} : { platform: platform(text) }),
  })),
});

t.test('the entry that fits the machine best is chosen', async (t) => {
  const table: [host: string, offered: string[], chosen: number | undefined][] = [
    ['linux/amd64/v1', ['unknown/unknown', 'windows/amd64', 'linux/amd64'], 2],
    ['linux/amd64', ['linux/amd64/v3', 'linux/amd64'], 1],
    ['linux/amd64', ['linux/amd64/v1'], 0],
    ['linux/amd64/v3', ['linux/amd64', 'linux/amd64/v2', 'linux/amd64/v3', 'linux/amd64/v4'], 2],
    ['linux/amd64/v2', ['linux/amd64/v3', 'linux/amd64', 'linux/amd64/v2'], 2],
    ['linux/amd64/v2', ['linux/amd64/v3', 'linux/amd64/v4'], undefined],
    ['linux/amd64/v4', ['linux/amd64/native', 'linux/amd64'], 1],
    ['linux/arm64/v8', ['linux/arm64/v9', 'linux/arm/v7', 'linux/arm64'], 2],
    ['linux/arm64/v8', ['linux/arm64', 'linux/arm64/v8'], 0],
    ['linux/arm64/v8', ['linux/arm64/v8.1', 'linux/arm/v8'], undefined],
    ['linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6', 'linux/arm/v7', 'linux/arm64/v8'], 2],
    ['linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6'], 1],
    ['linux/arm/v6', ['linux/arm/v7', 'linux/arm', 'linux/arm/v5'], 2],
    ['linux/arm/v7', ['linux/arm', 'linux/arm/v6'], 0],
    ['linux/riscv64', ['linux/amd64', 'linux/riscv64'], 1],
    ['linux/amd64', ['linux/arm64', 'unknown/unknown'], undefined],
    ['linux/amd64', ['linux/arm64', ''], 1],
  ];
  for (const [host, offered, chosen] of table) {
    const [found] = candidatesFor(index(...offered), platform(host));
    t.equal(found === undefined ? undefined : Number(found.digest.slice(-1)), chosen, `${host} of ${offered.join(' ')}`);
  }
});

t.test('what is offered is listed once and without attestations', async (t) => {
  t.same(offeredPlatforms(index('linux/arm64/v8', 'unknown/unknown', '', 'linux/arm64/v8', 'windows/amd64')), [
    'linux/arm64/v8',
    'windows/amd64',
  ]);
});

t.test('the level of an x86-64 processor is what its flags say, without a gap', async (t) => {
  const v2 = 'fpu cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3';
  const v3 = `${v2} avx avx2 bmi1 bmi2 f16c fma abm movbe xsave`;
  const v4 = `${v3} avx512f avx512bw avx512cd avx512dq avx512vl`;
  const level = (flags: string): number =>
    amd64Level(`processor\t: 0\nflags\t\t: ${flags}\nbugs\t\t: avx2\n\nprocessor\t: 1\nflags\t\t: ${v4}\n`);
  t.equal(amd64Level(''), 1);
  t.equal(level('fpu sse2'), 1);
  t.equal(level(v2), 2);
  t.equal(level(v3), 3);
  t.equal(level(v4), 4);
  t.equal(level(v4.replace(' movbe', '')), 2, 'v4 without all of v3 is v2');
  t.equal(level(v4.replace(' cx16', '')), 1);
});

t.test('this machine runs what is made for its architecture', async (t) => {
  const host = hostPlatform();
  t.ok(platformMatches(host, host));
  t.ok(platformMatches({ os: host.os, architecture: host.architecture }, host), formatPlatform(host));
  t.notOk(platformMatches({ ...host, os: 'windows' }, host));
});

t.test('entries of other kinds are passed over, and one that names no platform comes last', async (t) => {
  const { manifests } = index('linux/amd64', '', 'linux/amd64');
  const [other, unnamed, image] = manifests;
  const mixed: ImageIndex = { kind: 'index', manifests: [{ ...other!, mediaType: 'application/vnd.example.sbom+json' }, unnamed!, image!] };
  t.same(
    candidatesFor(mixed, platform('linux/amd64')).map(({ digest }) => digest),
    [image!.digest, unnamed!.digest],
  );
});
