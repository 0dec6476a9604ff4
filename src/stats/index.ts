/** One sample of the node's pods, shared by CRI stats and Prometheus. */
export { createSampler, type SamplerDeps } from './sampler.ts';
export * from './types.ts';
