/** Pod sandboxes: namespaces, pause process, network, and their lifecycle. */
export { sandboxPaths } from './files.ts';
export type { PodContainers } from './host.ts';
export { Sandboxes } from './service.ts';
export * from './types.ts';
