/** CheckImages: verifies layers, a message for each as it goes. */
import type { operator } from '../../gen/index.ts';
import type { CallContext } from '../call.ts';
import { checkToWire } from '../convert-image.ts';
import type { CriDependencies } from '../dependencies.ts';

/** Ends with the summary. An unknown name is IMAGE_NOT_FOUND. */
export async function* checkImages(
  deps: CriDependencies,
  request: operator.CheckImagesRequest,
  call: CallContext,
): AsyncGenerator<operator.CheckImagesResponseInit> {
  const { images, repair } = request;
  for await (const step of deps.images.check({ images, repair }, call.signal)) yield checkToWire(step);
}
