/** Unpacked layers and the overlays over them. */
export { type LayerRecord, LayerStore, type Staging } from './layers.ts';
export { mountRootfs, upperDir, usage } from './rootfs.ts';
export { TailProgress } from './tail.ts';
export type { UnpackResult } from './tasks.ts';
export { Trash } from './trash.ts';
export { unpackLayer } from './unpack.ts';
