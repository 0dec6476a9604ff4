/** RemoveImage: removes an image with all its names. */
import type { cri } from '../../gen/index.ts';
import { imageFromWire } from '../convert-container-spec.ts';
import type { CriDependencies } from '../dependencies.ts';

/** Idempotent; an absent image is success. Containers made from it keep running. */
export async function removeImage(deps: CriDependencies, request: cri.RemoveImageRequest): Promise<cri.RemoveImageResponseInit> {
  await deps.images.remove(imageFromWire(request.image, 'image').image);
  return {};
}
