/** Containers: their OCI configuration, lifecycle and recovery. */
export type { ContainerHost } from './host.ts';
export { type ContainerPaths, containerPaths } from './paths.ts';
export { Containers } from './service.ts';
export { gatherHostFacts, type HostFacts } from './spec-host.ts';
export * from './types.ts';
