/** Containers: their OCI configuration, lifecycle and recovery. */
export { containerPaths } from './paths.ts';
export { Containers } from './service.ts';
export { gatherHostFacts } from './spec-host.ts';
export * from './types.ts';
