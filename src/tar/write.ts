/**
 * Tar headers, from members to bytes: ustar where that can say it, and a PAX
 * extended header before it where it cannot (long or odd names, large
 * numbers, fractions of a second, extended attributes). Pure. The same member
 * always gives the same bytes. Source: POSIX pax(1).
 */
import { BLOCK_BYTES } from './fields.ts';
import type { Member } from './walker.ts';

const TYPE_FLAGS: Readonly<Record<Member['type'], string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};
const NAME_BYTES = 100;
/** Largest number of a field of 7 octal digits, and of one of 11. */
const SHORT_LIMIT = 0o7777777;
const LONG_LIMIT = 0o77777777777;

/** The header of `member`, extended header included; its content and padding() follow. */
export function memberHeader(member: Member): Buffer {
  const records = paxRecords(member);
  const main = header(member, TYPE_FLAGS[member.type]);
  if (records.length === 0) return main;
  return Buffer.concat([header(plainFile('PaxHeader', records.length), 'x'), records, padding(records.length), main]);
}

/** The zeros behind `size` bytes of content. */
export const padding = (size: number): Buffer => Buffer.alloc((BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES);

/** What ends an archive. */
export const endOfArchive = (): Buffer => Buffer.alloc(2 * BLOCK_BYTES);

/** A file of root's, readable by all, without a date; `path` has one character a byte. */
export const plainFile = (path: string, size: number): Member => ({
  path: path as Member['path'],
  type: 'file',
  linkPath: '' as Member['linkPath'],
  mode: 0o644,
  uid: 0,
  gid: 0,
  size,
  storedBytes: size,
  mtime: { seconds: 0, nanoseconds: 0 },
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: new Map(),
});

function paxRecords(member: Member): Buffer {
  const { path, linkPath, size, uid, gid, mtime, xattrs } = member;
  const records: [string, Buffer][] = [];
  if (path.length > NAME_BYTES) records.push(['path', Buffer.from(path, 'latin1')]);
  if (linkPath.length > NAME_BYTES) records.push(['linkpath', Buffer.from(linkPath, 'latin1')]);
  if (size > LONG_LIMIT) records.push(['size', Buffer.from(String(size))]);
  if (uid > SHORT_LIMIT) records.push(['uid', Buffer.from(String(uid))]);
  if (gid > SHORT_LIMIT) records.push(['gid', Buffer.from(String(gid))]);
  if (mtime.nanoseconds !== 0 || mtime.seconds < 0 || mtime.seconds > LONG_LIMIT) records.push(['mtime', Buffer.from(timeText(mtime))]);
  for (const name of [...xattrs.keys()].sort()) records.push([`SCHILY.xattr.${name}`, xattrs.get(name) ?? Buffer.alloc(0)]);
  return Buffer.concat(records.map(([key, value]) => paxRecord(key, value)));
}

/** Decimal seconds; the kernel's fraction is always added, a decimal's belongs to its sign. */
function timeText({ seconds, nanoseconds }: Member['mtime']): string {
  const negative = seconds < 0;
  const total = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
  const absolute = negative ? -total : total;
  const fraction = String(absolute % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${negative ? '-' : ''}${absolute / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}`;
}

/** "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), value, Buffer.from('\n')]);
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** A ustar header block; what does not fit is left to the extended header. */
function header(member: Member, flag: string): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, offset: number, length: number): void => {
    const fits = value >= 0 && value < 8 ** (length - 1);
    block.write(`${(fits ? value : 0).toString(8).padStart(length - 1, '0')}\0`, offset, length, 'latin1');
  };
  block.write(member.path.slice(0, NAME_BYTES), 0, 'latin1');
  octal(member.mode, 100, 8);
  octal(member.uid, 108, 8);
  octal(member.gid, 116, 8);
  octal(member.size, 124, 12);
  octal(member.mtime.seconds, 136, 12);
  block.write(flag, 156, 'latin1');
  block.write(member.linkPath.slice(0, NAME_BYTES), 157, 'latin1');
  block.write('ustar\u000000', 257, 'latin1');
  octal(member.deviceMajor, 329, 8);
  octal(member.deviceMinor, 337, 8);
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}
