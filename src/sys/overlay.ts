/**
 * Mounting an overlay by the new mount API, one `lowerdir+` a layer: no limit
 * of 4096 bytes for all options together as mount(2) has. Kernels before 6.8
 * (Debian 12 has 6.1) lack `lowerdir+` and get mount(2); what does not fit
 * is refused, since the kernel would silently cut it.
 * Invariant: redirect_dir and metacopy are off, so that no attribute a layer
 * carries can point anywhere else.
 */
import { readSync } from 'node:fs';
import { release } from 'node:os';
import { errnoOf, RuntimeError } from '../errors/index.ts';
import { check, closeFd, libcFunction, SysError } from './libc.ts';

/** What to mount where. */
export interface OverlayOptions {
  /** Absolute directories, topmost first, without duplicates (the kernel answers ELOOP to those). */
  readonly lowers: readonly string[];
  /** Writable layer and its work directory, on one file system; read-only without. */
  readonly upper?: string;
  readonly work?: string;
  readonly target: string;
}

// Numbers from 424 on are the same on every architecture (<asm-generic/unistd.h>).
const SYS_MOVE_MOUNT = 429;
const SYS_FSOPEN = 430;
const SYS_FSCONFIG = 431;
const SYS_FSMOUNT = 432;
const FSOPEN_CLOEXEC = 1;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
const FSMOUNT_CLOEXEC = 1;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const AT_FDCWD = -100;
/** mount(2) takes one page of options, NUL included. */
const MOUNT_DATA_BYTES = 4095;
/** One message of a mount context; the kernel's are one line. */
const MESSAGE_BYTES = 1024;

const fsopen = libcFunction('long syscall(long number, const char *type, uint flags)');
const fsconfig = libcFunction('long syscall(long number, int fd, uint command, const char *key, const char *value, int aux)');
const fsmount = libcFunction('long syscall(long number, int fd, uint flags, uint attributes)');
const moveMount = libcFunction('long syscall(long number, int from, const char *fromPath, int to, const char *toPath, uint flags)');
const mount = libcFunction('int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)');

const OPTIONS: readonly (readonly [string, string])[] = [
  ['redirect_dir', 'nofollow'],
  ['metacopy', 'off'],
];

/** Whether the kernel knows `lowerdir+` (overlayfs.rst: from 6.8); older ones take any option and fail only at the end. */
const appendsLowers = release().localeCompare('6.8', 'en', { numeric: true }) >= 0;

/** Mounts; throws MOUNT_FAILED with the kernel's words. */
export function mountOverlay(options: OverlayOptions): void {
  if (appendsLowers) mountByContext(options);
  else mountByOptions(options);
}

/** The new mount API. */
function mountByContext(options: OverlayOptions): void {
  const context = check(fsopen(SYS_FSOPEN, 'overlay', FSOPEN_CLOEXEC), 'fsopen', 'overlay');
  try {
    const lowers = options.lowers.map((lower): [string, string] => ['lowerdir+', lower]);
    for (const [key, value] of [...lowers, ...upperOptions(options), ...OPTIONS]) {
      check(fsconfig(SYS_FSCONFIG, context, FSCONFIG_SET_STRING, key, value, 0), 'fsconfig', key);
    }
    check(fsconfig(SYS_FSCONFIG, context, FSCONFIG_CMD_CREATE, null, null, 0), 'fsconfig', 'create');
    const mounted = check(fsmount(SYS_FSMOUNT, context, FSMOUNT_CLOEXEC, 0), 'fsmount');
    try {
      check(moveMount(SYS_MOVE_MOUNT, mounted, '', AT_FDCWD, options.target, MOVE_MOUNT_F_EMPTY_PATH), 'move_mount');
    } finally {
      closeFd(mounted);
    }
  } catch (error) {
    throw failure(options, error, messagesOf(context));
  } finally {
    closeFd(context);
  }
}

function upperOptions(options: OverlayOptions): [string, string][] {
  if (options.upper === undefined || options.work === undefined) return [];
  return [
    ['upperdir', options.upper],
    ['workdir', options.work],
  ];
}

/** mount(2): the layers in one option, colons and backslashes escaped. */
function mountByOptions(options: OverlayOptions): void {
  const quoted = (path: string): string => path.replace(/[\\:,]/g, '\\$&');
  const pairs = [
    ['lowerdir', options.lowers.map(quoted).join(':')],
    ...upperOptions(options).map(([key, path]) => [key, quoted(path)]),
    ...OPTIONS,
  ];
  const data = pairs.map(([key, value]) => `${key}=${value}`).join(',');
  if (Buffer.byteLength(data) > MOUNT_DATA_BYTES) {
    const message = `mounting ${options.lowers.length} layers on ${options.target} needs more than the ${MOUNT_DATA_BYTES} bytes of options mount(2) takes; use a kernel from 6.8 on, or an image of fewer layers`;
    throw new RuntimeError('internal', 'MOUNT_FAILED', message);
  }
  try {
    check(mount('overlay', options.target, 'overlay', 0, data), 'mount');
  } catch (error) {
    throw failure(options, error, '');
  }
}

function failure(options: OverlayOptions, error: unknown, said: string): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const words = said === '' ? '' : ` (the kernel says: ${said})`;
  const what = error instanceof SysError ? `${error.syscall} answered ${error.code}` : String(error);
  const message = `mounting an overlay of ${options.lowers.length} layers on ${options.target} failed: ${what}${words}`;
  return new RuntimeError('internal', 'MOUNT_FAILED', message, { cause: error });
}

/** What the kernel wrote into the context's log. */
function messagesOf(context: number): string {
  const lines: string[] = [];
  const buffer = Buffer.alloc(MESSAGE_BYTES);
  try {
    for (;;)
      lines.push(
        buffer
          .toString('utf8', 0, readSync(context, buffer))
          .trim()
          .replace(/^[a-z] /, ''),
      );
  } catch (error) {
    if (errnoOf(error) !== 'ENODATA') lines.push(`its log cannot be read: ${errnoOf(error)}`);
  }
  return lines.join('; ');
}
