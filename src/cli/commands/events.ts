/** `berth events`: container events as they happen, one line each, until interrupted. */
import { cri, runtimeService } from '../../gen/index.ts';
import { shortId } from '../../ids/index.ts';
import type { Invocation } from '../command.ts';
import { connect } from '../connect.ts';
import { enumName, toJson } from '../json.ts';
import { formatTime } from '../units.ts';

const TYPE_WIDTH = 'STARTED'.length;

export async function run({ flags, terminal }: Invocation): Promise<number> {
  using client = connect({ flags, terminal });
  const json = flags.text('output') === 'json';
  const forever = new AbortController();
  for await (const event of client.stream(runtimeService.GetContainerEvents, {}, forever.signal)) {
    terminal.out(json ? `${JSON.stringify(toJson(event))}\n` : `${eventLine(event)}\n`);
  }
  return 0;
}

/** `2026-01-02T03:04:05.678Z  STOPPED  a1b2c3  default/web  app  exit code 137, OOMKilled`. */
export function eventLine(event: cri.ContainerEventResponse): string {
  const type = enumName(cri.ContainerEventType, event.containerEventType).replace(/^CONTAINER_|_EVENT$/g, '');
  const pod = event.podSandboxStatus;
  const container = event.containersStatuses.find((status) => status.id === event.containerId);
  const words = [formatTime(event.createdAt.toString()), type.padEnd(TYPE_WIDTH), shortId(event.containerId)];
  words.push(pod === null ? '-' : `${pod.metadata?.namespace}/${pod.metadata?.name}`);
  words.push(container?.metadata?.name ?? (event.containerId === pod?.id ? '(pod)' : '-'));
  if (container?.state === cri.ContainerState.CONTAINER_EXITED)
    words.push(`exit code ${container.exitCode}${container.reason === '' ? '' : `, ${container.reason}`}`);
  return words.join('  ');
}
