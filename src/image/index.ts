/** Images: what they are, and the store that pulls and keeps them. */
export { refuseArtifact } from './artifact.ts';
export { createImageService, type ImageServiceOptions } from './service.ts';
export * from './types.ts';
