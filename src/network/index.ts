/** The pod network: CNI plugins, or the embedded bridge when there is no CNI configuration. */
export { removeEmbeddedNetwork } from './embedded/network.ts';
export { createPodNetwork, type PodNetworkOptions } from './pod-network.ts';
export * from './types.ts';
