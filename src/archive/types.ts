/** What an archive is to the one who loads it. */
import type { ArchiveSource } from './source.ts';

/** One image of an archive. */
export interface ArchivedImage {
  /** Full names as they are written in it. */
  readonly names: readonly string[];
  /** Tags it has without a name. */
  readonly tags: readonly string[];
  /** The document it begins with is its maker's, so that its digest is one of its names. */
  readonly authentic: boolean;
  readonly source: ArchiveSource;
}

/** An open archive. */
export interface Archive extends AsyncDisposable {
  /** As it was named. */
  readonly path: string;
  /** In the order of the archive, at least one. */
  readonly images: readonly ArchivedImage[];
}
