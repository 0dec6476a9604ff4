/** ExecSync: a command’s output and exit code. A non-zero exit code is an answer, not an error. */

import type { ExecResult } from '../../container/index.ts';
import type { cri } from '../../gen/index.ts';
import { type CallContext, MESSAGE_LIMIT_BYTES } from '../call.ts';
import type { CriDependencies } from '../dependencies.ts';
import { invalid, nonEmpty, text, timeoutSeconds } from '../fields.ts';

/** The client's message limit less room for tags, lengths and the exit code: an answer above it would be an error there. */
const OUTPUT_LIMIT_BYTES = MESSAGE_LIMIT_BYTES - 64;

/** Times out with DEADLINE_EXCEEDED, after the command and its children are gone. */
export async function execSync(deps: CriDependencies, request: cri.ExecSyncRequest, call: CallContext): Promise<cri.ExecSyncResponseInit> {
  const id = nonEmpty(request.containerId, 'container_id');
  if (request.cmd.length === 0) throw invalid('cmd', 'is empty; give the program and its arguments');
  const argv = request.cmd.map((word, at) => (at === 0 ? nonEmpty(word, 'cmd[0]') : text(word, `cmd[${at}]`)));
  const result = await deps.containers.execSync(id, argv, timeoutSeconds(request.timeout, 'timeout'), call.signal);
  return { ...fitting(result), exitCode: result.exitCode };
}

/** Cuts the larger stream first, so that an error text survives a flood of output. */
function fitting(result: ExecResult): Pick<ExecResult, 'stdout' | 'stderr'> {
  const { stdout, stderr } = result;
  const half = OUTPUT_LIMIT_BYTES / 2;
  const room = (other: Uint8Array): number => Math.max(half, OUTPUT_LIMIT_BYTES - other.byteLength);
  return { stdout: stdout.subarray(0, room(stderr)), stderr: stderr.subarray(0, room(stdout)) };
}
