/** ImageFsInfo: what images use, from counters; kubelet asks every 10 s and decides evictions by it. */
import type { cri } from '../../gen/index.ts';
import { fsUsageToWire } from '../convert-image.ts';
import type { CriDependencies } from '../dependencies.ts';

/** Images and writable layers are on one file system, so both lists name it: kubelet then takes the disk as not split. */
export function imageFsInfo(deps: CriDependencies): cri.ImageFsInfoResponseInit {
  const usage = fsUsageToWire(deps.images.fsUsage(), deps.nowNs());
  return { imageFilesystems: [usage], containerFilesystems: [usage] };
}
