/** `berth stop`: ends containers, or whole pods with --pods. */
import Long from 'long';
import { runtimeService } from '../../gen/index.ts';
import { CALL_TIMEOUT_MS } from '../client.ts';
import type { Invocation } from '../command.ts';
import { connect } from '../connect.ts';
import { eachWord } from '../each.ts';
import { allContainers, allPods, pick } from '../lookup.ts';

/** Time a container has to end by itself when nothing else is said. */
export const DEFAULT_GRACE_SECONDS = 10;

export async function run({ args, flags, terminal }: Invocation): Promise<number> {
  using client = connect({ flags, terminal });
  if (flags.on('pods')) {
    const pods = await allPods(client);
    return await eachWord(args, terminal, async (word) => {
      await client.call(runtimeService.StopPodSandbox, { podSandboxId: pick(pods, { word, what: 'pod' }).id });
    });
  }
  const containers = await allContainers(client);
  const graceSeconds = Number(flags.text('timeout') ?? DEFAULT_GRACE_SECONDS);
  return await eachWord(args, terminal, async (word) => {
    const containerId = pick(containers, { word, what: 'container' }).id;
    const request = { containerId, timeout: Long.fromNumber(graceSeconds) };
    await client.call(runtimeService.StopContainer, request, { timeoutMs: graceSeconds * 1000 + CALL_TIMEOUT_MS });
  });
}
