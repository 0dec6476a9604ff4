/** PullImage: brings an image to the node. Credentials are passed on and never logged. */
import type { cri } from '../../gen/index.ts';
import type { CallContext } from '../call.ts';
import { imageFromWire } from '../convert-container-spec.ts';
import { authFromWire } from '../convert-image.ts';
import type { CriDependencies } from '../dependencies.ts';

/** Answers with the image's id. Callers of the same image and credentials share a pull; one that gives up leaves alone. */
export async function pullImage(
  deps: CriDependencies,
  request: cri.PullImageRequest,
  call: CallContext,
): Promise<cri.PullImageResponseInit> {
  const { image } = imageFromWire(request.image, 'image');
  return { imageRef: await deps.images.pull(image, authFromWire(request.auth), call.signal) };
}
