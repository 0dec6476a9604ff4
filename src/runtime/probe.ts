/**
 * Does an OCI runtime work on this host? The only proof is a container: each
 * handler really runs one at start, of a program made on the spot, in its own
 * cgroup. Nothing is cached, since a kernel, a package or a cgroup mount may
 * have changed, and nothing is left behind.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { HandlerConfig } from '../config/index.ts';
import { messageOf } from '../errors/index.ts';
import { findProgram } from '../sys/index.ts';
import { call, type Handler, saidBy, succeeded } from './handler.ts';
import { PROBE_EXIT_CODE, probeProgram } from './probe-program.ts';
import type { HandlerInfo } from './types.ts';
import { explain } from './words.ts';

/** A healthy probe takes 0.1 s; a runtime that hangs on something must not keep the daemon from starting. */
const PROBE_TIMEOUT_MS = 10_000;

/** A probed handler: what is told of it, and how to call it; the latter is missing when there is no binary. */
export interface Probed {
  info: HandlerInfo;
  handler: Handler | undefined;
}

/** Where and how to probe. */
export interface ProbeOptions {
  /** Parent of the handlers' state directories. */
  runtimeRoot: string;
  /** A directory on a file system that allows execution; the throw-away rootfs is made in it. */
  probeDir: string;
  cgroupDriver: Handler['cgroupDriver'];
}

/** Probes one handler. Never rejects: what is wrong is in `info.problem`. */
export async function probe(config: HandlerConfig, options: ProbeOptions): Promise<Probed> {
  const path = findProgram(config.path);
  const info: HandlerInfo = {
    name: config.name,
    path: path ?? config.path,
    version: '',
    usable: false,
    problem: '',
    features: { recursiveReadOnlyMounts: false, idmapMounts: false },
  };
  if (path === undefined) {
    info.problem = `${config.path} is not installed`;
    return { info, handler: undefined };
  }
  const handler = { name: config.name, path, root: join(options.runtimeRoot, config.name), cgroupDriver: options.cgroupDriver };
  const [version, features, problem] = await Promise.all([
    readVersion(handler),
    readFeatures(handler),
    tryContainer(handler, options.probeDir).catch(messageOf),
  ]);
  return { info: { ...info, version, features, problem, usable: problem === '' }, handler };
}

async function readVersion(handler: Handler): Promise<string> {
  try {
    const result = await call(handler, { args: ['--version'], timeoutMs: PROBE_TIMEOUT_MS });
    return result.stdout.toString().split('\n')[0]?.trim() ?? '';
  } catch {
    return ''; // a binary that cannot even start is told of by the container's trial
  }
}

/** runtime-spec features.md; a runtime without the command (crun before 1.8.6) is credited with nothing unproved. */
async function readFeatures(handler: Handler): Promise<HandlerInfo['features']> {
  try {
    const result = await call(handler, { args: ['features'], timeoutMs: PROBE_TIMEOUT_MS });
    return parseFeatures(succeeded(result) ? result.stdout.toString() : '{}');
  } catch {
    return parseFeatures('{}'); // as in readVersion
  }
}

/** What of `features` output matters here; malformed output is no features. */
export function parseFeatures(text: string): HandlerInfo['features'] {
  try {
    const features = JSON.parse(text) as { mountOptions?: unknown; linux?: { mountExtensions?: { idmap?: { enabled?: unknown } } } } | null;
    const options = features?.mountOptions;
    return {
      recursiveReadOnlyMounts: Array.isArray(options) && options.includes('rro'),
      idmapMounts: features?.linux?.mountExtensions?.idmap?.enabled === true,
    };
  } catch {
    return { recursiveReadOnlyMounts: false, idmapMounts: false };
  }
}

/** Runs a container; returns '' or what went wrong, in the runtime's own words. */
async function tryContainer(handler: Handler, probeDir: string): Promise<string> {
  const program = probeProgram(process.arch);
  if (program === undefined) return `berth has no probe program for the architecture ${process.arch}`;
  await mkdir(probeDir, { recursive: true, mode: 0o700 });
  const bundle = await mkdtemp(join(probeDir, 'probe-'));
  const id = `${basename(bundle)}-${handler.name}`;
  const trial = { ...handler, root: join(bundle, 'state') };
  try {
    await mkdir(join(bundle, 'rootfs', 'proc'), { recursive: true });
    await writeFile(join(bundle, 'rootfs', 'probe'), program, { mode: 0o755 });
    await writeFile(join(bundle, 'config.json'), JSON.stringify(probeConfig(id, handler.cgroupDriver)));
    const result = await call(trial, { args: ['run', '--bundle', bundle, id], timeoutMs: PROBE_TIMEOUT_MS });
    if (result.status.code === PROBE_EXIT_CODE && !result.timedOut) return '';
    await call(trial, { args: ['delete', '--force', id], timeoutMs: PROBE_TIMEOUT_MS }); // most often there is nothing to delete
    return explain(saidBy(result), '/probe').words;
  } finally {
    await rm(bundle, { recursive: true, force: true });
  }
}

function probeConfig(id: string, driver: Handler['cgroupDriver']): Record<string, unknown> {
  return {
    ociVersion: '1.0.2',
    process: { user: { uid: 0, gid: 0 }, args: ['/probe'], env: ['PATH=/'], cwd: '/', noNewPrivileges: true },
    root: { path: 'rootfs' },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] }, // both make device nodes in it
    ],
    linux: {
      cgroupsPath: driver === 'systemd' ? `system.slice:berth:${id}` : `/berth-${id}`,
      namespaces: ['pid', 'mount', 'ipc', 'uts', 'network'].map((type) => ({ type })),
    },
  };
}
