/**
 * ExecSync: a command in a running container with the environment, user,
 * capabilities and working directory of its first process, taken from the
 * bundle's config.json as the container was created with it.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, RuntimeError } from '../errors/index.ts';
import type { ContainerHost } from './host.ts';
import { containerPaths } from './paths.ts';
import type { ContainerRecord, ExecResult } from './types.ts';

/** Bytes kept of each stream (api.proto ExecSyncResponse: the rest is discarded). */
const STREAM_LIMIT_BYTES = 16 * 1024 * 1024;

/** One command. */
export interface ExecInput {
  record: Readonly<ContainerRecord>;
  argv: string[];
  /** 0 is no limit. */
  timeoutMs: number;
}

/** Runs the command and waits for it. Throws EXEC_FAILED, EXEC_TIMEOUT. */
export async function execInContainer(host: ContainerHost, input: ExecInput, signal: AbortSignal): Promise<ExecResult> {
  const { record, argv, timeoutMs } = input;
  const { bundle } = containerPaths(host, record.id);
  const process = { ...(await readProcess(join(bundle, 'config.json'))), args: argv, terminal: false };
  return host.runtime.execSync(
    { id: record.id, handler: record.handler, bundleDir: bundle, process, timeoutMs, streamLimitBytes: STREAM_LIMIT_BYTES },
    signal,
  );
}

async function readProcess(path: string): Promise<Record<string, unknown>> {
  try {
    const config: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (
      typeof config === 'object' &&
      config !== null &&
      'process' in config &&
      typeof config.process === 'object' &&
      config.process !== null
    ) {
      return { ...config.process };
    }
    throw new Error('it has no process object');
  } catch (error) {
    throw new RuntimeError(
      'internal',
      'EXEC_FAILED',
      `the container’s OCI configuration ${path} cannot be used: ${messageOf(error)}; recreate the container`,
      {
        cause: error,
      },
    );
  }
}
