/** `berth rmp`: removes pods with their containers; ready ones only with --force. */
import { rm } from 'node:fs/promises';
import { RuntimeError } from '../../errors/index.ts';
import { cri, runtimeService } from '../../gen/index.ts';
import type { Client } from '../client.ts';
import { type Invocation, UsageError } from '../command.ts';
import { connect } from '../connect.ts';
import { eachWord } from '../each.ts';
import { allPods, pick, podName } from '../lookup.ts';
import { daemonRoot, podLogDirectory } from '../pod-logs.ts';

export async function run({ command, args, flags, terminal }: Invocation): Promise<number> {
  if (flags.on('all') === args.length > 0) throw new UsageError('name pods, or give --all, but not both', command.name);
  using client = connect({ flags, terminal });
  const pods = await allPods(client);
  const force = flags.on('force');
  const words = flags.on('all') ? pods.filter(({ pod }) => force || !isReady(pod)).map(({ id }) => id) : args;
  const root = await daemonRoot(client);
  return await eachWord(words, terminal, async (word) => {
    const { pod } = pick(pods, { word, what: 'pod' });
    if (isReady(pod) && !force) {
      throw new RuntimeError(
        'precondition',
        'SANDBOX_READY',
        `pod ${podName(pod)} is ready; stop it first (berth stop --pods) or stop and remove it with -f`,
      );
    }
    await removePod(client, { pod, root });
  });
}

/** Stops and removes a pod, and the log directory that `berth run` made for it. */
export async function removePod(
  client: Client,
  { pod, root }: { pod: Pick<cri.PodSandbox, 'id' | 'metadata'>; root: string },
): Promise<void> {
  await client.call(runtimeService.StopPodSandbox, { podSandboxId: pod.id });
  await client.call(runtimeService.RemovePodSandbox, { podSandboxId: pod.id });
  const logs = podLogDirectory(root, pod.metadata);
  if (logs !== undefined) await rm(logs, { recursive: true, force: true });
}

function isReady(pod: cri.PodSandbox): boolean {
  return pod.state === cri.PodSandboxState.SANDBOX_READY;
}
