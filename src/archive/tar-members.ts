/**
 * The members of a tar file. Its headers are read once, the data between them
 * passed over; what remains is an index from names to offsets. Links, which
 * `docker save` makes for layers that images share, are followed inside the
 * index only. Invariant: a name that would leave the archive is refused, so
 * is a member that reaches beyond the end of the file.
 */
import type { FileHandle } from 'node:fs/promises';
import { abortError } from '../async/index.ts';
import { messageOf } from '../errors/index.ts';
import { type ByteString, type Member, TarWalker, tarProblem } from '../tar/index.ts';
import { archiveError, memberError, memberName, quoted } from './error.ts';
import type { Members, Region } from './members.ts';

/** Members of an archive: images have some hundred layers of at most four members each. */
const MEMBERS_LIMIT = 100_000;
/** All their names together, in bytes. */
const NAMES_LIMIT_BYTES = 16 * 1024 * 1024;
/** Links in a row. */
const LINKS_LIMIT = 8;
const BLOCK_BYTES = 512;
/** Headers of small members lie close together: read at once, in bytes. */
const WINDOW_BYTES = 16 * 1024;

type Entry = { kind: 'file'; start: number; size: number } | { kind: 'link'; target: string };

/** The members of an open tar file, which stays the caller's to close. Throws IMAGE_ARCHIVE. */
export async function indexTar(file: FileHandle, path: string, signal: AbortSignal): Promise<Members> {
  const index = await new Indexer(file, path).run(signal);
  return {
    path,
    async open(member): Promise<Region | undefined> {
      const found = resolve(index, path, memberName(path, member));
      return found === undefined ? undefined : { file, start: found.start, size: found.size, close: async () => undefined };
    },
  };
}

class Indexer {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #entries = new Map<string, Entry>();
  readonly #walker = new TarWalker({ begin: (member) => this.#begin(member), data: () => undefined, end: () => undefined });
  #position = 0;
  #fileBytes = 0;
  #members = 0;
  #nameBytes = 0;

  constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.#path = path;
  }

  async run(signal: AbortSignal): Promise<ReadonlyMap<string, Entry>> {
    try {
      this.#fileBytes = (await this.#file.stat()).size;
      while (!this.#walker.ended && this.#position < this.#fileBytes) {
        if (signal.aborted) throw abortError(signal);
        await this.#readWindow();
      }
      this.#walker.finish();
    } catch (error) {
      const problem = tarProblem(error);
      throw problem === undefined ? error : archiveError(this.#path, `at byte ${this.#position}: ${problem}`, { cause: error });
    }
    return this.#entries;
  }

  async #readWindow(): Promise<void> {
    const window = Buffer.allocUnsafe(WINDOW_BYTES);
    const windowStart = this.#position;
    let filled: number;
    try {
      filled = (await this.#file.read(window, 0, window.length, windowStart)).bytesRead;
    } catch (error) {
      throw archiveError(this.#path, `it cannot be read (${messageOf(error)})`, { cause: error });
    }
    if (filled === 0) throw archiveError(this.#path, `it ended after ${windowStart} of ${this.#fileBytes} bytes while it was read`);
    const windowEnd = windowStart + filled;
    while (this.#position < windowEnd && !this.#walker.ended) {
      // up to the end of a block: what begins in the next one is then begun by its own push
      const end = Math.min(this.#position - (this.#position % BLOCK_BYTES) + BLOCK_BYTES, windowEnd);
      const chunk = window.subarray(this.#position - windowStart, end - windowStart);
      this.#position = end; // where the data of a member begins whose header ends here
      this.#walker.push(chunk);
      this.#position += this.#walker.skip();
    }
  }

  #begin(member: Member): void {
    this.#members += 1;
    this.#nameBytes += member.path.length + member.linkPath.length;
    if (this.#members > MEMBERS_LIMIT) throw archiveError(this.#path, `it has more than ${MEMBERS_LIMIT} members`);
    if (this.#nameBytes > NAMES_LIMIT_BYTES)
      throw archiveError(this.#path, `its names are longer than ${NAMES_LIMIT_BYTES} bytes together`);
    const name = this.#nameOf(member.path);
    const entry = this.#entryOf(member, name);
    // a later member of the same name takes the place of the earlier one, as in an archive that was appended to
    if (entry !== undefined) this.#entries.set(name, entry);
  }

  #nameOf(path: ByteString): string {
    return memberName(this.#path, textOf(path));
  }

  #entryOf(member: Member, name: string): Entry | undefined {
    if (member.type === 'hardlink') return { kind: 'link', target: this.#nameOf(member.linkPath) };
    if (member.type === 'symlink') return { kind: 'link', target: this.#symlinkTarget(name, textOf(member.linkPath)) };
    if (member.type !== 'file') return undefined;
    if (this.#position + member.size > this.#fileBytes) {
      const there = this.#fileBytes - this.#position;
      throw memberError({ path: this.#path, member: name }, `is cut off: ${there} of its ${member.size} bytes are there`);
    }
    return { kind: 'file', start: this.#position, size: member.size };
  }

  /** The member a symbolic link means, seen from the directory it is in. */
  #symlinkTarget(name: string, target: string): string {
    const parts = target.startsWith('/') ? [] : name.split('/').slice(0, -1);
    for (const part of target.split('/')) {
      if (part === '' || part === '.') continue;
      if (part !== '..') parts.push(part);
      else if (parts.pop() === undefined) {
        throw memberError({ path: this.#path, member: name }, `is a link out of the archive (to ${quoted(target)})`);
      }
    }
    return parts.join('/');
  }
}

const textOf = (bytes: ByteString): string => Buffer.from(bytes, 'latin1').toString('utf8');

function resolve(index: ReadonlyMap<string, Entry>, path: string, member: string): Extract<Entry, { kind: 'file' }> | undefined {
  let name = member;
  for (let links = 0; links <= LINKS_LIMIT; links += 1) {
    const entry = index.get(name);
    if (entry === undefined) {
      if (links === 0) return undefined;
      throw memberError({ path, member }, `is a link to ${quoted(name)}, which is not in the archive`);
    }
    if (entry.kind === 'file') return entry;
    name = entry.target;
  }
  throw memberError({ path, member }, `is a chain of more than ${LINKS_LIMIT} links`);
}
