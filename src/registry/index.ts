/** The registry: references, manifests and the distribution API. */
export { RegistryClient, type RegistrySession } from './client.ts';
export {
  type Descriptor,
  formatPlatform,
  hostPlatform,
  type ImageManifest,
  type Platform,
  parseManifest,
  platformMatches,
  selectPlatform,
} from './manifest.ts';
export { digestNameOf, formatReference, nameOf, parseReference, type Reference, tagOf } from './reference.ts';
