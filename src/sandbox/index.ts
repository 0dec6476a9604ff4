/** Pod sandboxes: namespaces, pause process, network, and their lifecycle. */
export { type SandboxPaths, sandboxPaths } from './files.ts';
export type { PodContainers, SandboxHost } from './host.ts';
export { Sandboxes } from './service.ts';
export * from './types.ts';
