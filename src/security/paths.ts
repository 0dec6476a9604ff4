/**
 * Paths of /proc and /sys that a container must not read or write, because
 * they tell of or change the host. For callers that name none themselves:
 * kubelet sends its own lists, which are taken word for word.
 */

/** Hidden behind an empty file or directory. */
export const DEFAULT_MASKED_PATHS: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/sys/devices/virtual/powercap', // energy readings tell what other tenants compute (CVE-2020-8694)
  '/sys/firmware',
];

/** Mounted read-only. */
export const DEFAULT_READONLY_PATHS: readonly string[] = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];
