/** An image on its way to the node, from a registry or an archive: all that differs between the two. */
import type { Reference } from '../registry/index.ts';
import type { ImageSource } from './source.ts';

export interface Arrival {
  open: () => ImageSource | Promise<ImageSource>;
  /** Where its layers come from; those of different origins are different downloads. */
  origin: string;
  /** For metrics: the registry's host, or 'archive'. */
  registry: string;
  /** For the progress shown and the log. */
  label: string;
  /** Names the image in errors. */
  what: string;
  /** What it is to be called. */
  references: readonly Reference[];
  /** Its first document came from its maker: the digest of that is one of its names. */
  authentic: boolean;
  /** Pin it. */
  keep: boolean;
}
