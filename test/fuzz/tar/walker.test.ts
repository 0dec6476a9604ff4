/**
 * The tar reader: whatever the bytes and however they are cut, the sink is
 * called in order and the end is the same; a right archive is read as what it
 * means, in every form a writer may give it, and as GNU tar reads it.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { endOfArchive, type Member, memberHeader, padding, TarWalker } from '../../../src/tar/index.ts';
import { type Meant, type WrittenArchive, withChecksums, writtenArchive } from '../../fixtures/fuzz/archive.ts';
import { refusal } from '../../fixtures/fuzz/errors.ts';
import { growsLinearly } from '../../fixtures/fuzz/growth.ts';
import { fuzz, property, Random } from '../../fixtures/fuzz.ts';
import { gnuSparse, paxMember, paxSparse, rawMember, rawTar } from '../../fixtures/raw-tar.ts';

const NS = 1_000_000_000n;

interface Seen {
  member: Member;
  data: Buffer;
  ended: boolean;
}

/** A member whose data is still coming. */
interface Open {
  member: Member;
  chunks: Buffer[];
  bytes: number;
}

/** What a sink was told, and how it ended. */
interface Walk {
  seen: Seen[];
  outcome: string;
  /** Everything that was handed over, in order. */
  bytes: Buffer;
}

function walk(pieces: readonly Buffer[]): Walk {
  const seen: Seen[] = [];
  const handed: Buffer[] = [];
  let open: Open | undefined;
  const close = (ended: boolean): void => {
    if (open !== undefined) seen.push({ member: open.member, data: Buffer.concat(open.chunks), ended });
    open = undefined;
  };
  const walker = new TarWalker({
    begin(member) {
      assert.equal(open, undefined, 'begin before the end of the last one');
      open = { member, chunks: [], bytes: 0 };
    },
    data(chunk) {
      assert(open !== undefined, 'data of no member');
      assert(chunk.length > 0, 'empty data');
      const copy = Buffer.from(chunk); // it is valid now only
      open.chunks.push(copy);
      handed.push(copy);
      open.bytes += chunk.length;
      assert(open.bytes <= open.member.storedBytes, 'more data than said');
    },
    end() {
      assert(open !== undefined, 'the end of no member');
      assert.equal(open.bytes, open.member.storedBytes, 'less data than said');
      close(true);
    },
    raw(chunk) {
      handed.push(Buffer.from(chunk));
    },
  });
  try {
    for (const piece of pieces) walker.push(Buffer.from(piece));
    walker.finish();
    assert.equal(open, undefined, 'a member without an end');
    return { seen, bytes: Buffer.concat(handed), outcome: `whole ${Math.min(seen.length, 4)}` };
  } catch (error) {
    close(false);
    return { seen, bytes: Buffer.concat(handed), outcome: refusal(error, 'unknown', 'IMAGE_LAYER') };
  }
}

function checkMember(member: Member): void {
  const { path, type, linkPath, mode, uid, gid, size, mtime, xattrs, deviceMajor, deviceMinor } = member;
  for (const text of [path, linkPath]) assert(!/[^\0-\xff]/.test(text), `not bytes: ${JSON.stringify(text)}`);
  for (const [what, number] of Object.entries({ mode, uid, gid, size, deviceMajor, deviceMinor }))
    assert(Number.isSafeInteger(number), `${what} ${number}`);
  assert(mode >= 0 && mode <= 0o7777 && size >= 0);
  // chown(2) and mknod(2) would take a larger one for another
  for (const owner of [uid, gid]) assert(owner >= 0 && owner <= 0xfffffffe, `the owner ${owner}`);
  assert(
    deviceMajor >= 0 && deviceMajor <= 0xfff && deviceMinor >= 0 && deviceMinor <= 0xfffff,
    `the device ${deviceMajor}:${deviceMinor}`,
  );
  assert(type === 'file' || size === 0, `${type} of ${size} bytes`);
  checkExtents(member);
  assert(
    mtime.nanoseconds >= 0 && mtime.nanoseconds < 1e9 && Number.isSafeInteger(mtime.seconds),
    `time ${mtime.seconds} ${mtime.nanoseconds}`,
  );
  assert(xattrs.size <= 256);
}

/** The parts of a sparse file ascend, do not overlap, lie within it and are as long as its data. */
function checkExtents({ extents, size, storedBytes }: Member): void {
  if (extents === undefined) {
    assert.equal(storedBytes, size);
    return;
  }
  let [end, total] = [0, 0];
  for (const { offset, length } of extents) {
    assert(offset >= end && length >= 0, `a part of ${length} at ${offset} after ${end}`);
    end = offset + length;
    total += length;
  }
  assert(end <= size, `parts up to ${end} of ${size}`);
  assert.equal(total, storedBytes);
}

/** Cut in three ways it is one archive. */
function check(input: Buffer, random: Random): string {
  const whole = walk([input]);
  for (const { member } of whole.seen) checkMember(member);
  assert(whole.bytes.equals(input.subarray(0, whole.bytes.length)), 'the bytes handed over are not those that came');
  if (whole.outcome.startsWith('whole')) assert.equal(whole.bytes.length, input.length, 'not all bytes were handed over');
  const most = random.pick([1, 7, 64, 511, 512, 513, 2000]);
  assert.deepEqual(walk(random.pieces(input, most)), whole, `cut in pieces of up to ${most} bytes`);
  const ends = whole.outcome.startsWith('whole') ? '' : String(whole.seen.length > 0);
  return whole.outcome + ends + [...new Set(whole.seen.map(({ member }) => member.type))].sort().join();
}

const PARTS: [number, number][] = [
  [512, 10],
  [1024, 5],
  [2000, 0],
];
const DATA = 'x'.repeat(15);
const SPARSE = [
  gnuSparse({ name: 's' }, 2000, PARTS, DATA),
  gnuSparse(
    { name: 's' },
    90_000,
    Array.from({ length: 30 }, (_, at) => [at * 3000, 1]),
    DATA + DATA,
  ),
  paxSparse('s', 2000, PARTS, DATA),
  Buffer.concat([
    paxMember([
      ['GNU.sparse.size', '2000'],
      ['GNU.sparse.numblocks', '3'],
      ['GNU.sparse.map', PARTS.flat().join()],
    ]),
    rawMember({ name: 's' }, DATA),
  ]),
].map((member) => rawTar(member, rawMember({ name: 'next' }, 'y')));

t.test('any bytes, however they are cut', async (t) => {
  const random = new Random(3);
  await fuzz(t, {
    name: 'tar',
    seeds: [Buffer.alloc(1024), ...random.list(6, 6, () => writtenArchive(random).bytes), ...SPARSE],
    dictionary: [
      'ustar\u000000',
      'ustar  \0',
      '././@LongLink',
      'path=',
      '12 path=a/b\n',
      'SCHILY.xattr.user.a=',
      'GNU.sparse.',
      'mtime=',
      'size=',
      '\x80\0\0\0',
      '\xff\xff\xff\xff',
      '../',
      '\0\0\0\0',
    ],
    generate: (from) => writtenArchive(from, 3).bytes,
    repair: withChecksums,
    unitBytes: 512,
    maxBytes: 20_000,
    inputs: 8000,
    check,
  });
});

const plain = (member: Member): Omit<Meant, 'data'> => ({
  path: member.path,
  type: member.type,
  linkPath: member.type === 'symlink' || member.type === 'hardlink' ? member.linkPath : '',
  mode: member.mode,
  uid: member.uid,
  gid: member.gid,
  mtimeNs: BigInt(member.mtime.seconds) * NS + BigInt(member.mtime.nanoseconds),
  device: [member.deviceMajor, member.deviceMinor],
  xattrs: [...member.xattrs].map(([name, value]) => [name, value.toString('latin1')]),
});

t.test('a right archive is read as what it means, in whatever form it says it', async (t) => {
  await property(t, {
    name: 'forms',
    inputs: 6000,
    generate: writtenArchive,
    check({ bytes, members }) {
      const { seen, outcome } = walk([bytes]);
      assert.match(outcome, /^whole/);
      assert.deepEqual(
        seen.map(({ member, data }) => ({ ...plain(member), data })),
        members,
      );
    },
  });
});

t.test('a member that is written is read back the same', async (t) => {
  await property(t, {
    name: 'written',
    inputs: 3000,
    generate: writtenArchive,
    check({ bytes }) {
      const { seen } = walk([bytes]);
      const again = Buffer.concat([
        ...seen.flatMap(({ member, data }) => [memberHeader(member), data, padding(data.length)]),
        endOfArchive(),
      ]);
      const links = ({ member }: Seen): Member =>
        member.type === 'symlink' || member.type === 'hardlink' ? member : { ...member, linkPath: '' as Member['linkPath'] };
      const { seen: read, outcome } = walk([again]);
      assert.match(outcome, /^whole/);
      assert.deepEqual(read.map(links), seen.map(links));
      assert.deepEqual(
        read.map(({ data }) => data),
        seen.map(({ data }) => data),
      );
    },
  });
});

const LETTERS = { file: '-', hardlink: 'h', symlink: 'l', char: 'c', block: 'b', directory: 'd', fifo: 'p' } as const;

/** As `tar -tv --full-time --quoting-style=c` has it. */
function line({ member, data }: Pick<Seen, 'member' | 'data'>): string {
  const { path, type, linkPath, mode, uid, gid, mtime, deviceMajor, deviceMinor } = member;
  const triple = (bits: number, special: boolean, letter: string): string => {
    const x = special ? (bits & 1 ? letter : letter.toUpperCase()) : bits & 1 ? 'x' : '-';
    return `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${x}`;
  };
  const permissions =
    triple(mode >> 6, (mode & 0o4000) !== 0, 's') +
    triple(mode >> 3, (mode & 0o2000) !== 0, 's') +
    triple(mode, (mode & 0o1000) !== 0, 't');
  const size = type === 'char' || type === 'block' ? `${deviceMajor},${deviceMinor}` : String(data.length);
  // of a time before 1970 GNU tar shows the fraction mirrored (tartime() in its list.c)
  const isMirrored = mtime.seconds < 0 && mtime.nanoseconds !== 0;
  const [seconds, nanoseconds] = isMirrored
    ? [Number(mtime.seconds) + 1, 1e9 - mtime.nanoseconds]
    : [Number(mtime.seconds), mtime.nanoseconds];
  const fraction = nanoseconds === 0 ? '' : `.${String(nanoseconds).padStart(9, '0').replace(/0+$/, '')}`;
  const time = new Date(seconds * 1000).toISOString().replace(/T(.*)\..*/, ' $1');
  const link = type === 'symlink' ? ` -> ${quoted(linkPath)}` : type === 'hardlink' ? ` link to ${quoted(linkPath)}` : '';
  return `${LETTERS[type]}${permissions} ${uid}/${gid} ${size} ${time}${fraction} ${quoted(type === 'directory' ? path.replace(/\/*$/, '/') : path)}${link}`;
}

/** C's quoting, in the locale C. */
function quoted(text: string): string {
  const named: Record<string, string> = { '\n': '\\n', '"': '\\"', '\\': '\\\\' };
  const inner = [...text].map((c) => named[c] ?? (c < ' ' || c > '~' ? `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}` : c));
  return `"${inner.join('')}"`;
}

t.test('GNU tar lists the same members', async (t) => {
  await property(t, {
    name: 'GNU tar',
    inputs: 150,
    generate: (random) => writtenArchive(random, 20),
    check({ bytes, members }: WrittenArchive) {
      if (members.length === 0) return; // for GNU tar an empty file is no archive
      const args = ['-tv', '--numeric-owner', '--full-time', '--quoting-style=c', '--warning=no-timestamp', '-f', '-'];
      const listed = spawnSync('tar', args, { input: bytes, encoding: 'latin1', env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC0' } });
      assert.equal(listed.stderr, '');
      const lines = listed.stdout.split('\n').slice(0, -1);
      // columns are padded to line up, directories have a slash
      const theirs = lines.map((text) => text.replace(/^(\S+) +(\S+) +(\S+) +(\S+ \S+) +(.*)$/, '$1 $2 $3 $4 $5'));
      const slashed = theirs.map((text) => (text.startsWith('d') && !text.endsWith('/"') ? text.replace(/"$/, '/"') : text));
      assert.deepEqual(slashed, walk([bytes]).seen.map(line));
    },
  });
});

t.test('extended headers without end leave nothing behind', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const held = async (): Promise<number> => {
    for (let round = 0; round < 3; round += 1) {
      collect();
      await pause(20); // buffers are freed by another thread
    }
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  for (const flag of ['x', 'g', 'L', 'K']) {
    const walker = new TarWalker({ begin: () => undefined, data: () => undefined, end: () => undefined });
    const before = await held();
    try {
      for (let round = 0; round < 24; round += 1) walker.push(longHeader(flag, `user.${round}`));
    } catch (error) {
      refusal(error, 'unknown', 'IMAGE_LAYER'); // refusing them is bounded, too
    }
    const grown = (await held()) - before;
    t.ok(grown < 8 * 1024 * 1024, `${flag}: ${grown} bytes are kept of 24 MB`);
  }
});

/** An extended header of nearly 1 MiB. */
function longHeader(flag: string, name: string): Buffer {
  const record = (length: string): string => `${length} SCHILY.xattr.${name}=${'v'.repeat(1_000_000)}\n`;
  const text = record(String(record('0000000').length));
  const data = flag === 'x' || flag === 'g' ? text : 'n'.repeat(1_000_000);
  const block = Buffer.alloc(512);
  block.write(data.length.toString(8).padStart(11, '0'), 124);
  block.write(flag, 156);
  return withChecksums(Buffer.concat([block, Buffer.from(data), Buffer.alloc(512 - (data.length % 512))]));
}

t.test('the work is in proportion to the length', async (t) => {
  const pax = (text: string): Buffer => {
    const block = Buffer.alloc(512);
    block.write(text.length.toString(8).padStart(11, '0'), 124);
    block.write('x', 156);
    return withChecksums(Buffer.concat([block, Buffer.from(text)]));
  };
  for (const piece of ['9', '9 ', '6 a=b\n', '12 path=a/b\n', '=', ' ', '\n', '21 SCHILY.xattr.user=\n']) {
    growsLinearly(
      `PAX ${JSON.stringify(piece)}`,
      2500,
      (size) => pax(piece.repeat(size)),
      (bytes) => void walk([bytes]),
    );
  }
  const { bytes } = writtenArchive(new Random(5), 30);
  const many = (size: number): Buffer => Buffer.concat(Array<Buffer>(size).fill(bytes));
  growsLinearly('members', 6, many, (tar) => void walk([tar]));
  const single = (size: number): Buffer[] => [...bytes.subarray(0, size)].map((byte) => Buffer.of(byte));
  growsLinearly('single bytes', 1000, single, (pieces) => void walk(pieces));
  t.pass();
});
