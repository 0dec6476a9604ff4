/**
 * Which images run on which machine. Pure, but for one look at the machine
 * itself. A variant is a level: a machine runs those up to its own, and the
 * highest of them suits it best. What needs a level that the machine is not
 * known to have is refused, since it would die of an illegal instruction.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { type Descriptor, type ImageIndex, isManifestOrIndex, type Platform } from './manifest.ts';

/** What a platform without a variant means, by architecture (containerd platforms, OCI image-index). */
const PLAIN_LEVELS: Readonly<Record<string, number>> = { amd64: 1, arm64: 8, arm: 7 };

/** The flags of /proc/cpuinfo that each level of x86-64 adds (x86-64 psABI, table 3.1; `abm` is lzcnt, `pni` is sse3). */
const AMD64_LEVELS: readonly (readonly string[])[] = [
  ['cx16', 'lahf_lm', 'popcnt', 'pni', 'sse4_1', 'sse4_2', 'ssse3'],
  ['avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe', 'xsave'],
  ['avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl'],
];

/** Bytes of /proc/cpuinfo read: the first processor's lines are some 2 KiB. */
const CPUINFO_BYTES = 16 * 1024;

/** Below every platform that fits. */
const NO_PLATFORM_LEVEL = -1;

/**
 * The entries of `index` that may lead to an image for `host`, best first: by platform, then those that say none.
 * Entries of other kinds are passed over (image-spec image-index.md "manifests").
 */
export function candidatesFor(index: ImageIndex, host: Platform): Descriptor[] {
  const ranked = index.manifests.filter(isManifestOrIndex).flatMap((entry) => {
    const level = entry.platform === undefined ? NO_PLATFORM_LEVEL : runnableLevel(entry.platform, host);
    return level === undefined ? [] : [{ entry, level }];
  });
  return ranked.sort((a, b) => b.level - a.level).map(({ entry }) => entry); // stable: the first of equals wins
}

/** True when an image built for `platform` runs on `host`. */
export const platformMatches = (platform: Platform, host: Platform): boolean => runnableLevel(platform, host) !== undefined;

/** What an index offers, for people; without attestations, which are no images. */
export function offeredPlatforms(index: ImageIndex): string[] {
  const platforms = index.manifests.flatMap(({ platform }) =>
    platform === undefined || platform.os === 'unknown' ? [] : [formatPlatform(platform)],
  );
  return [...new Set(platforms)];
}

/** os/architecture[/variant]. */
export const formatPlatform = (platform: Platform): string =>
  [platform.os, platform.architecture, ...(platform.variant === undefined ? [] : [platform.variant])].join('/');

/** This machine. */
export function hostPlatform(): Platform {
  if (process.arch !== 'x64') return { os: 'linux', architecture: process.arch, ...(process.arch === 'arm64' ? { variant: 'v8' } : {}) };
  amd64Variant ??= `v${amd64Level(readCpuinfo())}`;
  return { os: 'linux', architecture: 'amd64', variant: amd64Variant };
}

let amd64Variant: string | undefined;

/** 1 to 4: the level of x86-64 that the first processor in `cpuinfo` has. */
export function amd64Level(cpuinfo: string): number {
  const flags = new Set(/^flags\s*:(.*)$/m.exec(cpuinfo)?.[1]?.trim().split(/\s+/));
  const missing = AMD64_LEVELS.findIndex((needed) => !needed.every((flag) => flags.has(flag)));
  return missing < 0 ? AMD64_LEVELS.length + 1 : missing + 1;
}

function readCpuinfo(): string {
  const buffer = Buffer.alloc(CPUINFO_BYTES);
  const fd = openSync('/proc/cpuinfo', 'r');
  try {
    return buffer.toString('latin1', 0, readSync(fd, buffer));
  } finally {
    closeSync(fd);
  }
}

/** The level that `platform` needs when `host` has it; undefined when it does not run there. */
function runnableLevel(platform: Platform, host: Platform): number | undefined {
  if (platform.os !== host.os || platform.architecture !== host.architecture) return undefined;
  if ((platform.variant ?? '') === (host.variant ?? '')) return levelOf(host) ?? 0;
  const [needed, had] = [levelOf(platform), levelOf(host)];
  return needed !== undefined && had !== undefined && needed <= had ? needed : undefined;
}

/** vN as N, v8.1 as 8.1; undefined for a variant of another form. */
function levelOf({ architecture, variant }: Platform): number | undefined {
  const level = variant === undefined ? PLAIN_LEVELS[architecture] : /^v([0-9]{1,3}(?:\.[0-9]{1,3})?)$/.exec(variant)?.[1];
  return level === undefined ? undefined : Number(level);
}
