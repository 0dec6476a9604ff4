/**
 * /proc/PID/mountinfo as data (proc_pid_mountinfo(5)): one mount a line,
 * fields parted by single spaces, a variable number of propagation tags up to
 * a lone `-`, and space, tab, newline and backslash in paths as octal escapes.
 */

/** One mount. */
export interface MountEntry {
  readonly id: number;
  readonly parentId: number;
  /** `major:minor` of the file system's device. */
  readonly device: string;
  /** The directory of the file system that is the mount's root. */
  readonly root: string;
  /** Where it is mounted, seen from the reader's root. */
  readonly target: string;
  /** Options of this mount (`ro`, `nosuid`, ...). */
  readonly options: readonly string[];
  /** `shared:N`, `master:N`, ...; none for a private mount. */
  readonly propagation: readonly string[];
  readonly fsType: string;
  readonly source: string;
  /** Options of the file system, shared by all its mounts. */
  readonly superOptions: readonly string[];
}

/** Fields before the propagation tags. */
const FIXED_FIELDS = 6;

/** Parses the whole file, in its order; lines of another form are left out. */
export function parseMountinfo(text: string): MountEntry[] {
  return text.split('\n').flatMap((line) => parseLine(line) ?? []);
}

function parseLine(line: string): MountEntry | undefined {
  const fields = line.split(' ');
  const dash = fields.indexOf('-', FIXED_FIELDS);
  if (dash < 0) return undefined;
  const [id, parentId, device, root, target, options] = fields;
  const [fsType, source, superOptions] = fields.slice(dash + 1);
  if (id === undefined || parentId === undefined || device === undefined) return undefined;
  if (root === undefined || target === undefined || options === undefined) return undefined;
  if (fsType === undefined || source === undefined) return undefined;
  return {
    id: Number(id),
    parentId: Number(parentId),
    device,
    root: unescapePath(root),
    target: unescapePath(target),
    options: options.split(','),
    propagation: fields.slice(FIXED_FIELDS, dash),
    fsType,
    source: unescapePath(source),
    superOptions: (superOptions ?? '').split(',').filter((option) => option !== ''),
  };
}

/** The kernel escapes bytes, so multi-byte characters arrive whole and only ASCII is undone here. */
function unescapePath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
