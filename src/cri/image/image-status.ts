/** ImageStatus: one image by id, tag or digest. */
import type { cri } from '../../gen/index.ts';
import { imageFromWire } from '../convert-container-spec.ts';
import { imageToWire } from '../convert-image.ts';
import type { CriDependencies } from '../dependencies.ts';
import { imageInfo } from '../verbose.ts';

/** An absent image is success with no image set: kubelet then pulls. */
export function imageStatus(deps: CriDependencies, request: cri.ImageStatusRequest): cri.ImageStatusResponseInit {
  const record = deps.images.find(imageFromWire(request.image, 'image').image);
  if (record === undefined) return {};
  return { image: imageToWire(record), info: request.verbose ? imageInfo(record) : undefined };
}
