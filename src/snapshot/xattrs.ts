/** The extended attributes that a layer's files have, against those that its archive gave them. */
import { type Xattr, xattrsAt } from '../sys/index.ts';
import type { Member } from '../tar/index.ts';
import { isAllowed } from './metadata.ts';

/** The attributes of `name` in the directory `dirFd`, of those that a layer may have. */
export function layerXattrs(dirFd: number, name: string): Map<string, Buffer> {
  return new Map(
    xattrsAt(dirFd, name).flatMap((xattr): [string, Buffer][] => (isAllowed(xattr.name) ? [[xattr.name, bytesOf(xattr)]] : [])),
  );
}

/** What is wrong with the attributes of `name` in the directory `dirFd`, in words. */
export function* compareXattrs(dirFd: number, name: string, member: Member): Generator<string> {
  const wanted = [...member.xattrs].filter(([key]) => isAllowed(key));
  if (wanted.length === 0) return;
  const found = layerXattrs(dirFd, name);
  // A file system without such attributes has none at all: the layer was unpacked without them.
  if (found.size === 0 && member.type !== 'file') return;
  for (const [key, value] of wanted) {
    const there = found.get(key);
    if (there === undefined || !there.equals(value)) yield `its attribute ${key} is ${there === undefined ? 'missing' : 'another'}`;
  }
}

const bytesOf = ({ value }: Xattr): Buffer => Buffer.from(value.buffer, value.byteOffset, value.byteLength);
