import t from 'tap';
import { SingleFlight } from '../../../src/async/index.ts';

const never = (): AbortSignal => new AbortController().signal;

t.test('callers of one key share the work and its outcome', async (t) => {
  const flights = new SingleFlight<string, number>();
  let starts = 0;
  const gate = Promise.withResolvers<number>();
  const start = async (): Promise<number> => {
    starts += 1;
    return gate.promise;
  };
  const both = [flights.join('k', { signal: never() }, start), flights.join('k', { signal: never() }, start)];
  t.ok(flights.has('k'));
  gate.resolve(7);
  t.same(await Promise.all(both), [7, 7]);
  t.equal(starts, 1);
  t.notOk(flights.has('k'));
});

t.test('a caller that gives up leaves alone', async (t) => {
  const flights = new SingleFlight<string, number>();
  const gate = Promise.withResolvers<number>();
  const leaver = new AbortController();
  let aborted = false;
  const start = async (signal: AbortSignal): Promise<number> => {
    signal.addEventListener('abort', () => {
      aborted = true;
    });
    return gate.promise;
  };
  const left = flights.join('k', { signal: leaver.signal }, start);
  const stays = flights.join('k', { signal: never() }, start);
  leaver.abort();
  await t.rejects(left, { name: 'RuntimeError', reason: 'CANCELLED' });
  t.notOk(aborted, 'the work goes on for the other');
  gate.resolve(1);
  t.equal(await stays, 1);
});

t.test('when the last caller left the work is aborted', async (t) => {
  const flights = new SingleFlight<string, number>();
  const leaver = new AbortController();
  const aborted = Promise.withResolvers<void>();
  const left = flights.join('k', { signal: leaver.signal }, async (signal) => {
    signal.addEventListener('abort', () => aborted.resolve());
    return new Promise<number>(() => undefined);
  });
  leaver.abort();
  await t.rejects(left);
  await aborted.promise;
  t.notOk(flights.has('k'), 'a new caller starts anew');
});

t.test('a result that is wanted all the same is finished when nobody waits', async (t) => {
  const flights = new SingleFlight<string, number>();
  const gate = Promise.withResolvers<number>();
  const leaver = new AbortController();
  let aborted = false;
  const left = flights.join('k', { signal: leaver.signal, detached: true }, async (signal) => {
    signal.addEventListener('abort', () => {
      aborted = true;
    });
    return gate.promise;
  });
  leaver.abort();
  await t.rejects(left);
  t.ok(flights.has('k'), 'the work goes on');
  const retry = flights.join('k', { signal: never(), detached: true }, async () => 0);
  gate.resolve(3);
  t.equal(await retry, 3, 'a retry joins it');
  t.notOk(aborted);
});
