/** The kernel: the only folder that makes system calls through FFI. */

export {
  chmodAt,
  chownAt,
  createFileAt,
  type FileStat,
  type FileTime,
  linkAt,
  mkdirAt,
  mknodAt,
  openDirectoryAt,
  openDirectoryInRoot,
  openExactDirectory,
  openFileAt,
  openRoot,
  setFileTimes,
  statAt,
  symlinkAt,
  typeAt,
  unlinkAt,
  utimesAt,
} from './at.ts';
export { readBeneath } from './beneath.ts';
export { boundingCapabilities } from './caps.ts';
export { bootId, monotonicNs, nowNs } from './clock.ts';
export { isClockSynchronized } from './clock-sync.ts';
export { syncfs } from './disk.ts';
export { exchangePaths } from './exchange.ts';
export { ExitWaiter } from './exit-waiter.ts';
export { lockFile } from './file-lock.ts';
export { dataParts } from './holes.ts';
export { check, closeFd, libcFunction, SysError } from './libc.ts';
export { returnFreedMemory } from './memory.ts';
export { bindMount, makePrivate, mountsUnder, mountTmpfs, unmount } from './mount.ts';
export { type MountEntry, parseMountinfo } from './mountinfo.ts';
export { inNamespaces, loopbackUp, pinNamespaces } from './namespace.ts';
export { forgetUdpFlows, hasInetTable, type Link, RouteSocket } from './netlink.ts';
export { sdNotify } from './notify.ts';
export { mountOverlay, type OverlayOptions } from './overlay.ts';
export { makePipe } from './pipe.ts';
export { becomeSubreaper, isAlive, type ProcessRef, signalProcess, startTicks } from './process.ts';
export { awaitExit, holdAdopted, releaseLoop } from './reap.ts';
export { type RunResult, run } from './run.ts';
export { SIGNALS } from './signals.ts';
export { type Child, type ExitStatus, findProgram, spawn } from './spawn.ts';
export { currentUmask } from './umask.ts';
export { hasXattrAt, removeXattrAt, setFileXattr, setXattrAt, type Xattr, xattrsAt } from './xattr.ts';
