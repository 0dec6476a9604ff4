/** StreamImages: ListImages in batches, for lists beyond the message limit. */
import type { cri } from '../../gen/index.ts';
import { imageLists } from '../convert-image.ts';
import type { CriDependencies } from '../dependencies.ts';
import { matchingImages } from './matching-images.ts';

/** One consistent list, in batches of at least one item, then end of stream. */
export function streamImages(deps: CriDependencies, request: cri.StreamImagesRequest): AsyncIterable<Uint8Array> {
  return imageLists.responses(matchingImages(deps, request.filter));
}
