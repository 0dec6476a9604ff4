/** Control groups of the host: both drivers, v2 by one file per controller, v1 by one legacy reader. */
export { openCgroups } from './open.ts';
export * from './types.ts';
