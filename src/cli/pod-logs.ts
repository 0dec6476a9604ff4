/**
 * Where the logs of pods made by `berth run` are: below the daemon's root, in
 * a directory that follows from the pod's identity, so that removing the pod
 * finds it again without trusting anything a pod says about paths.
 */
import { join } from 'node:path';
import { CONFIG_KEYS } from '../config/index.ts';
import { type cri, runtimeService } from '../gen/index.ts';
import type { Client } from './client.ts';

/** The daemon's directory of persistent state, from its verbose status; the default when it does not say. */
export async function daemonRoot(client: Client): Promise<string> {
  const { info } = await client.call(runtimeService.Status, { verbose: true });
  const root = rootIn(info.config);
  return root ?? String(CONFIG_KEYS.get('root')?.field.default);
}

function rootIn(config: string | undefined): string | undefined {
  try {
    const parsed: unknown = JSON.parse(config ?? '');
    return typeof parsed === 'object' && parsed !== null && 'root' in parsed && typeof parsed.root === 'string' ? parsed.root : undefined;
  } catch {
    return undefined; // a daemon that tells its configuration in another form
  }
}

/** `ROOT/logs/NAMESPACE_NAME_UID` as kubelet names such directories; undefined when a part is unfit for a file name. */
export function podLogDirectory(
  root: string,
  metadata: Pick<cri.PodSandboxMetadata, 'name' | 'namespace' | 'uid'> | null,
): string | undefined {
  const parts = [metadata?.namespace, metadata?.name, metadata?.uid];
  const fit = parts.every((part) => part !== undefined && /^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(part));
  return fit ? join(root, 'logs', parts.join('_')) : undefined;
}
