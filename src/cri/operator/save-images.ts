/** SaveImages: images of the node as one archive. */
import type { operator } from '../../gen/index.ts';
import type { CallContext } from '../call.ts';
import type { CriDependencies } from '../dependencies.ts';
import { archiveFormats } from '../enums.ts';
import { nonEmpty } from '../fields.ts';

/** The archive, a message a piece. It is made as fast as the client reads. */
export async function* saveImages(
  deps: CriDependencies,
  request: operator.SaveImagesRequest,
  call: CallContext,
): AsyncGenerator<operator.SaveImagesResponseInit> {
  const images = request.images.map((image, at) => nonEmpty(image, `images[${at}]`));
  const format = archiveFormats.fromWire(request.format, 'format');
  for await (const chunk of deps.images.save({ images, format }, call.signal)) yield { chunk };
}
