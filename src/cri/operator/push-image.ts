/** PushImage: sends an image of the node to a registry. Credentials are passed on and never logged. */
import type { operator } from '../../gen/index.ts';
import type { CallContext } from '../call.ts';
import { credentialsFromWire } from '../convert-image.ts';
import type { CriDependencies } from '../dependencies.ts';
import { nonEmpty, text } from '../fields.ts';
import { toInt64 } from '../int64.ts';

/** Answers when the registry has the image under its name. */
export async function pushImage(
  deps: CriDependencies,
  request: operator.PushImageRequest,
  call: CallContext,
): Promise<operator.PushImageResponseInit> {
  const image = nonEmpty(request.image, 'image');
  const target = text(request.target, 'target');
  const { name, bytesSent, bytesPresent } = await deps.images.push(
    { image, target, auth: credentialsFromWire(request.credentials) },
    call.signal,
  );
  return { name, bytesSent: toInt64(BigInt(bytesSent)), bytesPresent: toInt64(BigInt(bytesPresent)) };
}
