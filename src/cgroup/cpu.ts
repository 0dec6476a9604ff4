/** The cpu controller, v2: cpu.stat (which every cgroup has, even without the controller), cpu.max, cpu.pressure. */

import type { ReadFile } from './files.ts';
import { field, integer, pressure } from './parse.ts';
import type { CpuStats } from './types.ts';

const NS_PER_US = 1000n;

/** `QUOTA PERIOD` or `max PERIOD`, microseconds (cgroup-v2.rst cpu.max). */
function parseCpuMax(text: string | undefined): CpuStats['quota'] {
  const [quota, period] = (text ?? '').trim().split(' ');
  const [quotaUs, periodUs] = [integer(quota), integer(period)];
  return quotaUs === undefined || periodUs === undefined ? undefined : { quotaUs, periodUs };
}

/** undefined when the cgroup is gone. */
export function readCpu(read: ReadFile): CpuStats | undefined {
  const stat = read('cpu.stat');
  const usageUs = field(stat, 'usage_usec');
  if (usageUs === undefined) return undefined;
  const quota = parseCpuMax(read('cpu.max'));
  const psi = pressure(read('cpu.pressure'));
  return {
    usageNs: usageUs * NS_PER_US,
    userNs: (field(stat, 'user_usec') ?? 0n) * NS_PER_US,
    systemNs: (field(stat, 'system_usec') ?? 0n) * NS_PER_US,
    periods: field(stat, 'nr_periods') ?? 0n,
    throttledPeriods: field(stat, 'nr_throttled') ?? 0n,
    throttledNs: (field(stat, 'throttled_usec') ?? 0n) * NS_PER_US,
    ...(quota !== undefined && { quota }),
    ...(psi !== undefined && { psi }),
  };
}
