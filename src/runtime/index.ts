/** OCI runtimes: probing, creation through conmon, exits, exec. */
export { createOciRuntime, type OciRuntimeOptions } from './oci-runtime.ts';
export { probe } from './probe.ts';
export type * from './types.ts';
