/** From how a process ended to what ContainerStatus says of it. Pure. */
import type { ContainerExited } from '../runtime/index.ts';
import type { ContainerExit, ContainerRecord } from './types.ts';

/** Exit code for an end nobody saw. */
const UNKNOWN_CODE = 255;
/** 128 + SIGKILL: what the out-of-memory killer leaves. */
const KILLED_CODE = 137;

/** OOMKilled only when the first process was the victim: a child killed earlier must not label a later end. */
export function exitFacts(record: Readonly<ContainerRecord>, exited: ContainerExited): ContainerExit {
  const startedAtNs = record.startRequestedAtNs ?? record.createdAtNs;
  let finishedAtNs = exited.finishedAtNs;
  if (finishedAtNs < startedAtNs) finishedAtNs = startedAtNs; // a file's time is coarser than the clock
  if (exited.exitCode === undefined) {
    return {
      exitCode: UNKNOWN_CODE,
      finishedAtNs,
      reason: 'Unknown',
      message: 'the container’s monitor (conmon) was killed, so its exit code is lost',
    };
  }
  if (exited.oom && exited.exitCode === KILLED_CODE) {
    const limit = record.spec.resources.memoryLimitBytes;
    const where = limit === undefined ? 'by the kernel' : `at its memory limit of ${limit} bytes`;
    return {
      exitCode: KILLED_CODE,
      finishedAtNs,
      reason: 'OOMKilled',
      message: `the container’s first process was killed for want of memory ${where}; raise the limit or lower what it uses`,
    };
  }
  return { exitCode: exited.exitCode, finishedAtNs, reason: exited.exitCode === 0 ? 'Completed' : 'Error', message: '' };
}
