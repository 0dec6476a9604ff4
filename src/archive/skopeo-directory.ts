/**
 * The directory that `skopeo copy ... dir:PATH` and `skopeo sync` write: one
 * image, its manifest as manifest.json, blobs by the digits of their digests,
 * the manifests of an index as HEX.manifest.json. It carries no name. Source:
 * containers-transports(5), "dir:".
 */
import type { Digest } from '../ids/index.ts';
import { type Members, readMember } from './members.ts';
import { ArchiveSource, digestOf, readDocument, type SourceParts } from './source.ts';
import type { ArchivedImage } from './types.ts';

const MANIFEST = 'manifest.json';
const VERSION = 'version';
const VERSION_LIMIT_BYTES = 1024;

/** The image of such a directory; undefined when it is none. Throws IMAGE_ARCHIVE. */
export async function readSkopeoDirectory(members: Members): Promise<ArchivedImage[] | undefined> {
  const version = await readMember(members, VERSION, VERSION_LIMIT_BYTES);
  if (version?.toString('latin1').startsWith('Directory Transport Version: 1.') !== true) return undefined;
  const parts: SourceParts = {
    async top() {
      const bytes = await readDocument(members, MANIFEST);
      return { bytes, digest: digestOf(bytes), contentType: '' };
    },
    memberOf: hexOf,
    manifestOf: (digest) => `${hexOf(digest)}.manifest.json`,
  };
  return [{ names: [], tags: [], authentic: true, source: new ArchiveSource(members, parts) }];
}

const hexOf = (digest: Digest): string => digest.slice('sha256:'.length);
