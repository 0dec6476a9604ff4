/** LoadImages: brings the images of an archive on the node. */
import type { operator } from '../../gen/index.ts';
import type { CallContext } from '../call.ts';
import type { CriDependencies } from '../dependencies.ts';
import { absolutePath, text } from '../fields.ts';

/** Answers with what came. Callers of the same archive share the work; one that gives up leaves alone. */
export async function loadImages(
  deps: CriDependencies,
  request: operator.LoadImagesRequest,
  call: CallContext,
): Promise<operator.LoadImagesResponseInit> {
  const { pin } = request;
  const path = absolutePath(request.path, 'path');
  const images = await deps.images.load({ path, pin, name: text(request.name, 'name') }, call.signal);
  return { images: images.map(({ id, names }) => ({ imageId: id, names })) };
}
