/**
 * Writes tar archives in memory, for images made on the spot by demos and
 * tests. It writes what it is told, also what no sane archive holds (`..`,
 * absolute names, devices): refusing that is the reader's duty, and this is
 * what the reader is tested with. Names beyond ustar's 100 bytes and
 * extended attributes travel in PAX headers.
 */

const BLOCK_BYTES = 512;
const TYPE_FLAGS = { file: '0', hardlink: '1', symlink: '2', char: '3', block: '4', directory: '5', fifo: '6' } as const;

/** One member of an archive. */
export interface TarEntry {
  path: string;
  /** 'file' when absent. */
  type?: keyof typeof TYPE_FLAGS;
  /** Bytes of a file. */
  content?: Uint8Array | string;
  /** Target of a symlink or hard link. */
  target?: string;
  /** Permission bits; 0755 for directories and 0644 for the rest when absent. */
  mode?: number;
  uid?: number;
  gid?: number;
  /** Seconds; a fraction goes into a PAX header. */
  mtime?: number;
  /** [major, minor] of a device. */
  device?: [number, number];
  /** Extended attributes by name (SCHILY.xattr). */
  xattrs?: Record<string, Uint8Array | string>;
  /** Further PAX records, written as they are. */
  pax?: Record<string, Uint8Array | string>;
}

/** The archive of `entries`, ended by two zero blocks. */
export function buildTar(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.flatMap(member), Buffer.alloc(2 * BLOCK_BYTES)]);
}

function member(entry: TarEntry): Buffer[] {
  const records = paxRecords(entry);
  const extended = records.length === 0 ? [] : [header({ name: 'pax', flag: 'x', size: records.length }), padded(records)];
  const type = entry.type ?? 'file';
  const content = type === 'file' ? Buffer.from(entry.content ?? '') : Buffer.alloc(0);
  const main = header({
    name: entry.path,
    flag: TYPE_FLAGS[type],
    size: content.length,
    mode: entry.mode ?? (type === 'directory' ? 0o755 : 0o644),
    link: entry.target ?? '',
    uid: entry.uid ?? 0,
    gid: entry.gid ?? 0,
    mtime: Math.floor(entry.mtime ?? 0),
    device: entry.device ?? [0, 0],
  });
  return [...extended, main, padded(content)];
}

function paxRecords(entry: TarEntry): Buffer {
  const records: [string, Uint8Array | string][] = Object.entries(entry.pax ?? {});
  if (Buffer.byteLength(entry.path) > 100) records.push(['path', entry.path]);
  if (Buffer.byteLength(entry.target ?? '') > 100) records.push(['linkpath', entry.target ?? '']);
  if (entry.mtime !== undefined && !Number.isInteger(entry.mtime)) records.push(['mtime', String(entry.mtime)]);
  for (const [name, value] of Object.entries(entry.xattrs ?? {})) records.push([`SCHILY.xattr.${name}`, value]);
  return Buffer.concat(records.map(([key, value]) => paxRecord(key, Buffer.from(value))));
}

/** "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

interface HeaderFields {
  name: string;
  flag: string;
  size: number;
  mode?: number;
  link?: string;
  uid?: number;
  gid?: number;
  mtime?: number;
  device?: [number, number];
}

/** A POSIX ustar header block. */
function header(fields: HeaderFields): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, offset: number, length: number): void => {
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, length, 'latin1');
  };
  Buffer.from(fields.name).copy(block, 0, 0, 100);
  octal(fields.mode ?? 0o644, 100, 8);
  octal(fields.uid ?? 0, 108, 8);
  octal(fields.gid ?? 0, 116, 8);
  octal(fields.size, 124, 12);
  octal(fields.mtime ?? 0, 136, 12);
  block.fill(' ', 148, 156);
  block.write(fields.flag, 156, 'latin1');
  Buffer.from(fields.link ?? '').copy(block, 157, 0, 100);
  block.write('ustar\u000000', 257, 'latin1');
  const [major, minor] = fields.device ?? [0, 0];
  octal(major, 329, 8);
  octal(minor, 337, 8);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function padded(content: Buffer): Buffer {
  const missing = (BLOCK_BYTES - (content.length % BLOCK_BYTES)) % BLOCK_BYTES;
  return missing === 0 ? content : Buffer.concat([content, Buffer.alloc(missing)]);
}
