/** ListImages: one entry an id, with all its names. */
import type { cri } from '../../gen/index.ts';
import { imageLists } from '../convert-image.ts';
import type { CriDependencies } from '../dependencies.ts';
import { matchingImages } from './matching-images.ts';

/** From memory; no match is an empty list. */
export function listImages(deps: CriDependencies, request: cri.ListImagesRequest): Uint8Array {
  return imageLists.response(matchingImages(deps, request.filter));
}
