/** WatchPulls: progress of pulls, the whole picture at each change. */
import type { operator } from '../../gen/index.ts';
import type { CallContext } from '../call.ts';
import { pullToWire } from '../convert-image.ts';
import type { CriDependencies } from '../dependencies.ts';

/** The first message at once; ends after it when asked to, else with the call. The image service bounds the rate. */
export async function* watchPulls(
  deps: CriDependencies,
  request: operator.WatchPullsRequest,
  call: CallContext,
): AsyncGenerator<operator.WatchPullsResponseInit> {
  for (;;) {
    const changed = request.once ? undefined : deps.images.pullsChanged(call.signal);
    changed?.catch(() => undefined); // awaited below; an abort while the consumer writes must not count as unhandled
    yield { pulls: deps.images.pulls().map(pullToWire) };
    if (changed === undefined) return;
    await changed;
  }
}
