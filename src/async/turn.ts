/**
 * Turns of the event loop. System calls that make namespaces, links and
 * processes are synchronous by nature and take a millisecond or two each; when
 * several pods start at once, promise chains would run them back to back and
 * nothing else would be heard meanwhile. Work passed through here gets a turn
 * of its own: whatever is waiting on sockets and timers is served in between.
 */
let tail: Promise<unknown> = Promise.resolve();

/** Runs synchronous `work` in the next free turn of the event loop, in order of arrival. */
export async function inOwnTurn<T>(work: () => T): Promise<T> {
  const mine = tail.then(nextTurn).then(work);
  tail = mine.catch(() => undefined); // its caller sees the failure; the next in line does not
  return mine;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
