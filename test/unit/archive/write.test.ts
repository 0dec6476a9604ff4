// What the tar writer makes, as GNU tar and our own reader see it.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { documentMember, type OutgoingMember, writeTar } from '../../../src/archive/tar-writer.ts';
import { TarWalker } from '../../../src/tar/index.ts';
import { scratchDir } from '../../fixtures/archives.ts';

const never = new AbortController().signal;

async function pieces(members: readonly OutgoingMember[]): Promise<Uint8Array[]> {
  return Array.fromAsync(writeTar(members, never));
}

/** A member of `size` bytes in pieces of `step`, that says it has `claimed`. */
function member(name: string, size: number, { step = 1000, claimed = size } = {}): OutgoingMember {
  const body = async function* () {
    for (let at = 0; at < size; at += step) yield Buffer.alloc(Math.min(step, size - at), name);
  };
  return { name, open: async () => ({ size: claimed, body: body(), [Symbol.asyncDispose]: async () => undefined }) };
}

t.test('members in order of their names, in equal pieces, for GNU tar as for us', async (t) => {
  const members = [
    member('z', 300_000),
    documentMember('dir/', new Uint8Array()),
    member('dir/a', 512),
    member('dir/empty', 0),
    member('b', 1),
  ];
  const parts = await pieces(members);
  t.same(
    parts.slice(0, -1).map(({ length }) => length),
    Array(parts.length - 1).fill(256 * 1024),
  );
  const tar = Buffer.concat(parts);
  t.equal(tar.length % 512, 0);
  t.same(Buffer.concat(await pieces(members.toReversed())), tar);
  const path = join(scratchDir(t), 'a.tar');
  writeFileSync(path, tar);
  t.equal(execFileSync('tar', ['-tf', path], { encoding: 'utf8' }), 'b\ndir/\ndir/a\ndir/empty\nz\n');
  t.same(execFileSync('tar', ['-xOf', path, 'z'], { maxBuffer: 1 << 20 }), Buffer.alloc(300_000, 'z'));
});

t.test('a size beyond eleven octal digits', async (t) => {
  const size = 8 ** 11 + 5;
  const seen: number[] = [];
  const walker = new TarWalker({ begin: (found) => void seen.push(found.size), data: () => undefined, end: () => undefined });
  const stream = writeTar([member('huge', size, { step: 1 << 20 })], never);
  const { value } = await stream.next();
  walker.push(Buffer.from(value ?? []).subarray(0, 3 * 512)); // a PAX header says the size
  await stream.return(undefined);
  t.same(seen, [size]);
});

t.test('a member that has not the length it claims ends the archive with an error', async (t) => {
  for (const claimed of [99, 101]) {
    await t.rejects(pieces([member('short', 100, { claimed })]), {
      name: 'RuntimeError',
      reason: 'IMAGE_LAYER_UNAVAILABLE',
      message: new RegExp(`it had 100 bytes, not ${claimed}`),
    });
  }
});
