/** Concurrency primitives: keyed queue, single flight, limiter, deadlines. */
export { abortable, abortError, sleep, withDeadline } from './deadline.ts';
export { KeyedQueue } from './keyed-queue.ts';
export { Limiter } from './limiter.ts';
export { SingleFlight } from './single-flight.ts';
export { inOwnTurn } from './turn.ts';
