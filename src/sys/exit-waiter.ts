/**
 * Tells when processes end that need not be our children: their pidfds are in
 * one epoll set, and one call waiting on it runs on libuv's pool (taking one
 * of its threads while anything is watched; a Worker would cost 10 MB).
 * Invariant: a watch ends exactly once, by its exit, its cancellation or
 * close(), and its pidfd is closed then.
 */
import { sleep } from '../async/index.ts';
import { check, closeFd, libcFunction } from './libc.ts';
import { openPidfd, type ProcessRef } from './process.ts';

/** One wait, in ms: bounds how long the pool thread can hold up the end of this process. */
const SLICE_MS = 1_000;
/** Events taken at once; more come with the next call. */
const EVENTS_PER_WAIT = 64;
/** Pause after a failed wait (EINTR), in ms, so that a lasting failure cannot spin. */
const RETRY_MS = 10;

// epoll(7), eventfd(2)
const EPOLL_CLOEXEC = 0o2000000;
const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLLIN = 1;
/** struct epoll_event is packed on x86-64 only. */
const EVENT_BYTES = process.arch === 'x64' ? 12 : 16;
const DATA_OFFSET = process.arch === 'x64' ? 4 : 8;
/** The data word of the eventfd; pidfds use their own number, which is never 0 here. */
const WAKE = 0;
const EVENTFD_BYTES = 8;

const epollCreate = libcFunction('int epoll_create1(int flags)');
const epollControl = libcFunction('int epoll_ctl(int set, int operation, int fd, void *event)');
const epollWait = libcFunction('int epoll_wait(int set, void *events, int count, int timeout)');
const eventfd = libcFunction('int eventfd(uint value, int flags)');
const readCall = libcFunction('long read(int fd, void *buffer, size_t count)');
const writeCall = libcFunction('long write(int fd, void *buffer, size_t count)');

interface Watch {
  readonly onExit: () => void;
}

/** Watches any number of processes; keeps the event loop alive while there is one. */
export class ExitWaiter {
  readonly #set: number;
  readonly #wake: number;
  readonly #watches = new Map<number, Watch>();
  readonly #events = Buffer.alloc(EVENT_BYTES * EVENTS_PER_WAIT);
  #waiting = false;
  #closed = false;

  constructor() {
    this.#set = check(epollCreate(EPOLL_CLOEXEC), 'epoll_create1');
    try {
      this.#wake = check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), 'eventfd');
    } catch (error) {
      closeFd(this.#set);
      throw error;
    }
    this.#control(EPOLL_CTL_ADD, this.#wake, WAKE);
  }

  /**
   * Calls `onExit` once, never during this call, when that very process has
   * ended (also when it has ended already). Returns the cancellation.
   */
  watch(ref: ProcessRef, onExit: () => void): () => void {
    if (this.#closed) throw new Error('an exit waiter was used after it was closed');
    const pidfd = openPidfd(ref);
    if (pidfd === undefined) return deferred(onExit);
    try {
      this.#control(EPOLL_CTL_ADD, pidfd, pidfd);
    } catch (error) {
      closeFd(pidfd);
      throw error;
    }
    const watch: Watch = { onExit };
    this.#watches.set(pidfd, watch);
    if (!this.#waiting) void this.#wait();
    return () => {
      if (this.#watches.get(pidfd) !== watch) return; // it has ended; the number may be another watch's by now
      this.#end(pidfd);
      if (this.#watches.size === 0) this.#interrupt();
    };
  }

  /** Ends every watch without a call. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const pidfd of this.#watches.keys()) this.#end(pidfd);
    if (this.#waiting) this.#interrupt();
    else this.#release();
  }

  /** Runs while something is watched; the set's descriptors are closed only when no call uses them. */
  async #wait(): Promise<void> {
    this.#waiting = true;
    while (this.#watches.size > 0) {
      const count = await epollWait.async(this.#set, this.#events, EVENTS_PER_WAIT, SLICE_MS);
      if (count < 0) await sleep(RETRY_MS);
      for (let i = 0; i < count; i += 1) this.#handle(this.#events.readUInt32LE(i * EVENT_BYTES + DATA_OFFSET));
    }
    this.#waiting = false;
    if (this.#closed) this.#release();
  }

  #handle(data: number): void {
    if (data === WAKE) {
      readCall(this.#wake, Buffer.alloc(EVENTFD_BYTES), EVENTFD_BYTES);
      return;
    }
    const watch = this.#watches.get(data);
    if (watch === undefined) return; // cancelled after the kernel reported it
    this.#end(data);
    queueMicrotask(watch.onExit); // a throwing callback must not end the wait for the others
  }

  #end(pidfd: number): void {
    this.#watches.delete(pidfd);
    this.#control(EPOLL_CTL_DEL, pidfd, pidfd);
    closeFd(pidfd);
  }

  #interrupt(): void {
    const one = Buffer.alloc(EVENTFD_BYTES);
    one.writeBigUInt64LE(1n);
    writeCall(this.#wake, one, EVENTFD_BYTES);
  }

  #release(): void {
    closeFd(this.#wake);
    closeFd(this.#set);
  }

  #control(operation: number, fd: number, data: number): void {
    const event = Buffer.alloc(EVENT_BYTES);
    event.writeUInt32LE(EPOLLIN, 0);
    event.writeUInt32LE(data, DATA_OFFSET);
    check(epollControl(this.#set, operation, fd, event), 'epoll_ctl');
  }
}

function deferred(onExit: () => void): () => void {
  let cancelled = false;
  queueMicrotask(() => {
    if (!cancelled) onExit();
  });
  return () => {
    cancelled = true;
  };
}
