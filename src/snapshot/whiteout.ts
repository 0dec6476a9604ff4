/**
 * Whiteouts in a layer's tar: names that say what of lower layers is gone.
 * Pure. Source: OCI image-spec layer.md "Representing Changes"; the other
 * `.wh..wh.` names are aufs' own and mean nothing elsewhere.
 */
import { type ByteString, layerError, printable } from '../tar/index.ts';

/** What a whiteout says. */
export type Whiteout = { kind: 'remove'; name: ByteString } | { kind: 'opaque' } | { kind: 'ignored' };

/** What overlayfs reads as "nothing of lower layers shows in this directory". */
export const OPAQUE = { name: 'trusted.overlay.opaque', value: Buffer.from('y') };

const PREFIX = '.wh.';
const META_PREFIX = '.wh..wh.';
const OPAQUE_NAME = '.wh..wh..opq';

/** The whiteout of that name, undefined for an ordinary one. Throws IMAGE_LAYER for one that names no child. */
export function parseWhiteout(name: ByteString): Whiteout | undefined {
  if (!name.startsWith(PREFIX)) return undefined;
  if (name === OPAQUE_NAME) return { kind: 'opaque' };
  if (name.startsWith(META_PREFIX)) return { kind: 'ignored' };
  const hidden = name.slice(PREFIX.length) as ByteString;
  // `.wh..` would remove the directory itself and `.wh...` its parent
  if (hidden === '' || hidden === '.' || hidden === '..')
    throw layerError(`the whiteout ${printable(name)} names no child of its directory`);
  return { kind: 'remove', name: hidden };
}
