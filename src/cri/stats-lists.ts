/** The samples that match a stats filter, as messages: what the list and stream forms share. */
import type { cri } from '../gen/index.ts';
import { containerStatsToWire, sandboxStatsToWire } from './convert-stats.ts';
import type { CriDependencies } from './dependencies.ts';

/** Items of one message of a streamed stats list: about 300 kB of containers. */
const BATCH_ITEMS = 256;

/** Running containers that match; an absent filter matches all. */
export async function matchingContainerStats(
  deps: CriDependencies,
  filter: cri.ContainerStatsFilter | null,
): Promise<cri.ContainerStatsInit[]> {
  const samples = await deps.sampler.sample();
  return samples
    .flatMap((sandbox) => sandbox.containers)
    .filter(({ record }) => filter === null || (record.id.startsWith(filter.id) && record.sandboxId.startsWith(filter.podSandboxId)))
    .filter(({ record }) => hasLabels(record.spec.labels, filter?.labelSelector))
    .map(containerStatsToWire);
}

/** Ready pods that match; an absent filter matches all. */
export async function matchingSandboxStats(
  deps: CriDependencies,
  filter: cri.PodSandboxStatsFilter | null,
): Promise<cri.PodSandboxStatsInit[]> {
  const samples = await deps.sampler.sample();
  return samples
    .filter(({ record }) => filter === null || record.id.startsWith(filter.id))
    .filter(({ record }) => hasLabels(record.spec.labels, filter?.labelSelector))
    .map((sample) => sandboxStatsToWire(sample, deps.nowNs()));
}

/** Batches of at least one item. */
export function* batches<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += BATCH_ITEMS) yield items.slice(at, at + BATCH_ITEMS);
}

function hasLabels(labels: Record<string, string>, wanted: Record<string, string> | undefined): boolean {
  return Object.entries(wanted ?? {}).every(([key, value]) => labels[key] === value);
}
