/**
 * GetContainerEvents: every change of a sandbox or container from now on, with
 * its pod: kubelet drops an event without a sandbox status, the sandbox's own
 * DELETED included, so the event brings the sandbox's record. A reader that is
 * too slow gets EVENTS_LOST instead of a gap, and lists again.
 */
import { RuntimeError } from '../../errors/index.ts';
import { cri } from '../../gen/index.ts';
import type { PodEvent } from '../../sandbox/index.ts';
import type { CallContext } from '../call.ts';
import { containerStatuses } from '../convert-container.ts';
import { sandboxStatuses } from '../convert-sandbox.ts';
import type { CriDependencies } from '../dependencies.ts';
import { embedded } from '../encoded.ts';
import { eventTypes } from '../enums.ts';
import { toInt64 } from '../int64.ts';

/** Field numbers of ContainerEventResponse (api.proto). */
const SANDBOX_FIELD = 4;
const CONTAINERS_FIELD = 5;

/** Ends with the call; fails with EVENTS_LOST when its reader is too slow. */
export async function* getContainerEvents(
  deps: CriDependencies,
  _request: cri.GetEventsRequest,
  call: CallContext,
): AsyncGenerator<Uint8Array> {
  using subscription = deps.events.subscribe();
  const close = (): void => subscription[Symbol.dispose]();
  call.signal.addEventListener('abort', close, { once: true });
  let latestNs = 0n;
  try {
    if (call.signal.aborted) return;
    for await (const event of subscription) {
      if (event.atNs > latestNs) latestNs = event.atNs; // the clock may be set back, created_at must not be
      yield eventToWire(deps, event, latestNs);
    }
  } finally {
    call.signal.removeEventListener('abort', close);
  }
  if (subscription.overflowed) {
    const message = 'events came faster than they were read and some are lost; open the stream again, then list';
    throw new RuntimeError('exhausted', 'EVENTS_LOST', message);
  }
}

function eventToWire(deps: CriDependencies, event: PodEvent, createdAtNs: bigint): Uint8Array {
  const head: cri.ContainerEventResponseInit = {
    containerId: event.containerId,
    containerEventType: eventTypes.toWire(event.kind),
    createdAt: toInt64(createdAtNs),
  };
  const containers = deps.containers.list({ sandboxId: event.sandboxId });
  return Buffer.concat([
    cri.ContainerEventResponse.encode(head).finish(),
    embedded(SANDBOX_FIELD, sandboxStatuses.of(event.sandbox)),
    ...containers.map((container) => embedded(CONTAINERS_FIELD, containerStatuses.of(container))),
  ]);
}
