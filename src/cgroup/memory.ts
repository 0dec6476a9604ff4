/**
 * The memory controller, v2 (cgroup-v2.rst "Memory"). Without the controller
 * every figure is 0. The working set is usage without inactive file pages, as
 * kubelet's eviction counts it.
 */

import type { ReadFile } from './files.ts';
import { field, integer, pressure } from './parse.ts';
import type { MemoryStats } from './types.ts';

/** Parts of kernel memory that memory.stat lists where it has no `kernel` line (before 5.18). */
const KERNEL_PARTS = ['kernel_stack', 'pagetables', 'percpu', 'slab'] as const;

/** Usage minus inactive file pages, never below 0. */
export function workingSet(usageBytes: bigint, inactiveFileBytes: bigint): bigint {
  return usageBytes > inactiveFileBytes ? usageBytes - inactiveFileBytes : 0n;
}

function kernelBytes(stat: string | undefined): bigint {
  const total = field(stat, 'kernel');
  if (total !== undefined) return total;
  return KERNEL_PARTS.reduce((sum, part) => sum + (field(stat, part) ?? 0n), 0n);
}

/** Reads every file of the controller. */
export function readMemory(read: ReadFile): MemoryStats {
  const stat = read('memory.stat');
  const events = read('memory.events');
  const usageBytes = integer(read('memory.current')) ?? 0n;
  const inactiveFileBytes = field(stat, 'inactive_file') ?? 0n;
  const limitBytes = integer(read('memory.max'));
  const swapLimitBytes = integer(read('memory.swap.max'));
  const psi = pressure(read('memory.pressure'));
  return {
    usageBytes,
    workingSetBytes: workingSet(usageBytes, inactiveFileBytes),
    rssBytes: field(stat, 'anon') ?? 0n,
    cacheBytes: field(stat, 'file') ?? 0n,
    mappedFileBytes: field(stat, 'file_mapped') ?? 0n,
    kernelBytes: kernelBytes(stat),
    activeFileBytes: field(stat, 'active_file') ?? 0n,
    inactiveFileBytes,
    swapBytes: integer(read('memory.swap.current')) ?? 0n,
    // memory.peak is there since 5.19; before it the present usage is the only peak known
    maxUsageBytes: integer(read('memory.peak')) ?? usageBytes,
    pageFaults: field(stat, 'pgfault') ?? 0n,
    majorPageFaults: field(stat, 'pgmajfault') ?? 0n,
    failcnt: field(events, 'max') ?? 0n,
    oomKills: field(events, 'oom_kill') ?? 0n,
    ...(limitBytes !== undefined && { limitBytes }),
    ...(swapLimitBytes !== undefined && { swapLimitBytes }),
    ...(psi !== undefined && { psi }),
  };
}
