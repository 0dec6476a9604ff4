// What this host is like, as far as it changes what the demo can show: one line for each limitation.
import { existsSync, readFileSync } from 'node:fs';
import type { Throwaway } from '../throwaway.ts';
import { askBerth } from './narrate.ts';

/** 'v2', 'hybrid v1' (v2 mounted beside, without controllers) or 'v1'. */
export function cgroupLayout(): 'v2' | 'hybrid v1' | 'v1' {
  const root = '/sys/fs/cgroup';
  if (existsSync(`${root}/cgroup.controllers`)) return 'v2';
  return existsSync(`${root}/unified/cgroup.controllers`) ? 'hybrid v1' : 'v1';
}

/** One sentence each; empty where everything can be shown. */
export async function limitations(place: Throwaway): Promise<string[]> {
  const found: string[] = [];
  const layout = cgroupLayout();
  if (layout !== 'v2')
    found.push(`cgroups are ${layout}, not v2: limits and figures come from the v1 hierarchies; pressure (PSI) is not shown`);
  const { info } = (await askBerth(place, ['info', '-o', 'json'])) as { info?: Record<string, unknown> };
  const handlers = handlersOf(info);
  const usable = handlers.filter((handler) => handler.usable);
  for (const handler of handlers) {
    if (!handler.usable)
      found.push(`${handler.name} does not work (${handler.problem}); containers run with ${usable[0]?.name ?? 'nothing'}`);
  }
  if (!effectiveCapabilities().has(CAP_SYS_RESOURCE)) found.push('no CAP_SYS_RESOURCE: out-of-memory scores cannot be lowered');
  return found;
}

interface Handler {
  readonly name: string;
  readonly usable: boolean;
  readonly problem: string;
}

function handlersOf(info: Record<string, unknown> | undefined): readonly Handler[] {
  return (info?.runtime as { handlers?: Handler[] } | undefined)?.handlers ?? [];
}

/** linux/capability.h */
const CAP_SYS_RESOURCE = 24;

function effectiveCapabilities(): Set<number> {
  const mask = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`);
  return new Set(Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => (mask >> BigInt(bit)) & 1n));
}
