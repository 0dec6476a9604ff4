/** Images: what they are, and the store that pulls and keeps them. */
export { createImageService, type ImageServiceOptions } from './service.ts';
export * from './types.ts';
