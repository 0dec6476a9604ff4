/** The hugetlb controller: page sizes of the host and the usage of each, for both layouts. */

import type { ReadFile } from './files.ts';
import { integer } from './parse.ts';
import type { HugetlbStats } from './types.ts';

const DIRECTORY = /^hugepages-(\d+)kB$/;
const KIB_PER_UNIT: readonly [string, number][] = [
  ['GB', 1024 * 1024],
  ['MB', 1024],
  ['KB', 1],
];

/** Page sizes as the controller's file names write them ('2MB'), from the entries of /sys/kernel/mm/hugepages. */
export function hugePageSizes(entries: readonly string[]): string[] {
  const sizes: string[] = [];
  for (const entry of entries) {
    const kib = Number(DIRECTORY.exec(entry)?.[1] ?? 0);
    const unit = KIB_PER_UNIT.find(([, factor]) => kib >= factor);
    if (unit !== undefined) sizes.push(`${kib / unit[1]}${unit[0]}`);
  }
  return sizes.sort();
}

/** Sizes the controller has files for. v2 keeps no maximum. */
export function readHugetlb(read: ReadFile, sizes: readonly string[]): HugetlbStats[] {
  const stats: HugetlbStats[] = [];
  for (const pageSize of sizes) {
    const usageBytes = integer(read(`hugetlb.${pageSize}.current`) ?? read(`hugetlb.${pageSize}.usage_in_bytes`));
    if (usageBytes === undefined) continue;
    const maxUsageBytes = integer(read(`hugetlb.${pageSize}.max_usage_in_bytes`));
    stats.push({ pageSize, usageBytes, ...(maxUsageBytes !== undefined && { maxUsageBytes }) });
  }
  return stats;
}
