/**
 * What of this host shapes the OCI configuration of every container. Read once
 * at start: none of it changes while the daemon runs.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupLayout } from '../cgroup/index.ts';
import { detectMandatoryAccessControl, type MandatoryAccessControl } from '../security/index.ts';
import { boundingCapabilities } from '../sys/index.ts';

/** Facts of the host. */
export interface HostFacts {
  /** As process.arch says it. */
  architecture: string;
  /** Capabilities berth may hand on, 'CAP_CHOWN'. */
  capabilities: ReadonlySet<string>;
  mandatoryAccessControl: MandatoryAccessControl;
  /** 2 when the OCI runtimes see the unified hierarchy alone. */
  cgroupVersion: 1 | 2;
  /** Limits of memory plus swap can be set. */
  swapAccounting: boolean;
  /** Page sizes that can be limited, as kubelet writes them ('2MB'); empty without the hugetlb controller. */
  hugepageSizes: ReadonlySet<string>;
  /** The lowest oom_score_adj that can be given. */
  leastOomScoreAdj: number;
  /** Open files a process may be allowed. */
  openFilesLimit: number;
}

/** No program needs more descriptors, and some close every possible one at start, which takes minutes for 2^30. */
const OPEN_FILES_LIMIT = 1_048_576;
/** proc(5): the range of oom_score_adj begins here. */
const LEAST_OOM_SCORE_ADJ = -1000;

/** Looks at the host. */
export function gatherHostFacts(layout: Readonly<CgroupLayout>): HostFacts {
  const capabilities = boundingCapabilities();
  return {
    architecture: process.arch,
    capabilities,
    mandatoryAccessControl: detectMandatoryAccessControl(),
    cgroupVersion: layout.mode === 'v2' ? 2 : 1,
    swapAccounting: hasSwapAccounting(layout),
    hugepageSizes: hasHugetlb(layout) ? readHugepageSizes() : new Set(),
    // Without CAP_SYS_RESOURCE a process can only keep the value it inherits, or raise it.
    leastOomScoreAdj: capabilities.has('CAP_SYS_RESOURCE') ? LEAST_OOM_SCORE_ADJ : Number(readFileSync('/proc/self/oom_score_adj', 'utf8')),
    openFilesLimit: Math.min(parseOpenFiles(readFileSync('/proc/self/limits', 'utf8')), OPEN_FILES_LIMIT),
  };
}

function hasSwapAccounting(layout: Readonly<CgroupLayout>): boolean {
  if (layout.mode === 'v2') return existsSync('/proc/swaps'); // CONFIG_SWAP; the files are in every cgroup but the root
  const memory = layout.legacy.memory;
  return memory !== undefined && existsSync(join(memory, 'memory.memsw.limit_in_bytes'));
}

const hasHugetlb = (layout: Readonly<CgroupLayout>): boolean =>
  layout.mode === 'v2' ? layout.controllers.includes('hugetlb') : layout.legacy.hugetlb !== undefined;

function readHugepageSizes(): Set<string> {
  const directory = '/sys/kernel/mm/hugepages';
  return existsSync(directory) ? new Set(readdirSync(directory).flatMap((name) => hugepageSize(name) ?? [])) : new Set();
}

/** 'hugepages-2048kB' → '2MB' (hugetlb controller's file names, and kubelet's); undefined for another name. */
export function hugepageSize(directory: string): string | undefined {
  const digits = /^hugepages-(\d+)kB$/.exec(directory)?.[1];
  if (digits === undefined) return undefined;
  const kib = Number(digits);
  if (kib >= 1024 * 1024) return `${kib / (1024 * 1024)}GB`;
  return kib >= 1024 ? `${kib / 1024}MB` : `${kib}KB`;
}

/** The hard limit of open files in /proc/PID/limits. */
function parseOpenFiles(limits: string): number {
  const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1];
  return hard === undefined ? Number.POSITIVE_INFINITY : Number(hard);
}
