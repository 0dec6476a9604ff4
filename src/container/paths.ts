/** Where the files of a container are. */
import { join } from 'node:path';

/** Absolute paths of one container. */
export interface ContainerPaths {
  /** OCI bundle and the monitor's directory; short, since a socket's path ends at 107 bytes. */
  bundle: string;
  /** The mounted root file system. */
  rootfs: string;
  /** Upper and work directories of the overlay; persistent. */
  layer: string;
}

/** Name of the directory of bundles below the run-time directory. */
export const BUNDLES = 'ctr';
/** Name of the directory of writable layers below the persistent directory. */
export const LAYERS = 'containers';

/** The paths of container `id`. */
export function containerPaths(host: { state: string; root: string }, id: string): ContainerPaths {
  const bundle = join(host.state, BUNDLES, id);
  return { bundle, rootfs: join(bundle, 'rootfs'), layer: join(host.root, LAYERS, id) };
}
