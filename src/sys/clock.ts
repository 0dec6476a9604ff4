/**
 * Clocks in nanoseconds and the identity of this boot. Times that are shown
 * come from `nowNs`, durations and ages from `monotonicNs`; a value of one is
 * never compared with the other.
 */
import { readFileSync } from 'node:fs';
import { check, libcFunction } from './libc.ts';

/** clock_gettime(2) */
const CLOCK_REALTIME = 0;
const TIMESPEC_BYTES = 16;
const NS_PER_S = 1_000_000_000n;

const clockGettime = libcFunction('int clock_gettime(int clock, void *time)');
const timespec = Buffer.alloc(TIMESPEC_BYTES);

/** Wall-clock time since 1970, in ns (CLOCK_REALTIME); it jumps when the clock is set. */
export function nowNs(): bigint {
  check(clockGettime(CLOCK_REALTIME, timespec), 'clock_gettime');
  return timespec.readBigInt64LE(0) * NS_PER_S + timespec.readBigInt64LE(8);
}

/** Time since some fixed point of this boot, in ns (CLOCK_MONOTONIC); it never goes back. */
export function monotonicNs(): bigint {
  return process.hrtime.bigint();
}

let boot: string | undefined;

/** The kernel's random id of this boot (proc_sys_kernel(5) random/boot_id). */
export function bootId(): string {
  boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return boot;
}
