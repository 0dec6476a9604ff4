/** The images that match a filter: all, or the one a name or id stands for. */
import type { cri } from '../../gen/index.ts';
import type { ImageRecord } from '../../image/index.ts';
import type { CriDependencies } from '../dependencies.ts';

/** Throws IMAGE_REFERENCE when the filter's name is malformed. */
export function matchingImages(deps: CriDependencies, filter: cri.ImageFilter | null): Readonly<ImageRecord>[] {
  const name = filter?.image?.image ?? '';
  if (name === '') return deps.images.list();
  const found = deps.images.find(name);
  return found === undefined ? [] : [found];
}
