/** `berth stats`: what containers, or pods, use now. */
import type Long from 'long';
import { type cri, runtimeService } from '../../gen/index.ts';
import { shortId } from '../../ids/index.ts';
import type { Client } from '../client.ts';
import type { Invocation } from '../command.ts';
import { connect } from '../connect.ts';
import { jsonText } from '../json.ts';
import { allContainers, allPods, matchesLabels, pick, podName } from '../lookup.ts';
import { type Column, formatTable } from '../table.ts';
import { formatBytes } from '../units.ts';

export async function run(invocation: Invocation): Promise<number> {
  using client = connect(invocation);
  if (invocation.flags.on('pods')) await podStats(client, invocation);
  else await containerStats(client, invocation);
  return 0;
}

async function containerStats(client: Client, { args, flags, terminal }: Invocation): Promise<void> {
  const containers = await allContainers(client);
  const pods = new Map((await allPods(client)).map(({ id, pod }) => [id, pod]));
  const ids = new Set(args.map((word) => pick(containers, { word, what: 'container' }).id));
  const podOf = new Map(containers.map(({ id, container }) => [id, pods.get(container.podSandboxId)]));
  const namespace = flags.text('namespace');
  const { stats } = await client.call(runtimeService.ListContainerStats, {});
  const shown = stats.filter(({ attributes }) => {
    const id = attributes?.id ?? '';
    if (ids.size > 0 && !ids.has(id)) return false;
    if (namespace !== undefined && podOf.get(id)?.metadata?.namespace !== namespace) return false;
    return matchesLabels(flags.all('label'), attributes?.labels ?? {});
  });
  if (flags.text('output') === 'json') return terminal.out(jsonText({ stats: shown }));
  const columns: Column<cri.ContainerStats>[] = [
    { heading: 'CONTAINER ID', cell: ({ attributes }) => shortId(attributes?.id ?? '') },
    { heading: 'NAME', cell: ({ attributes }) => attributes?.metadata?.name ?? '' },
    { heading: 'CPU', cell: ({ cpu }) => cores(cpu) },
    { heading: 'MEMORY', cell: ({ memory }) => bytes(memory?.workingSetBytes?.value) },
    { heading: 'SWAP', cell: ({ swap }) => bytes(swap?.swapUsageBytes?.value) },
    { heading: 'DISK', cell: ({ writableLayer }) => bytes(writableLayer?.usedBytes?.value) },
    { heading: 'INODES', cell: ({ writableLayer }) => writableLayer?.inodesUsed?.value.toString() ?? '' },
    { heading: 'POD', cell: ({ attributes }) => podName(podOf.get(attributes?.id ?? '')) },
  ];
  terminal.out(formatTable(columns, shown));
}

async function podStats(client: Client, { args, flags, terminal }: Invocation): Promise<void> {
  const pods = await allPods(client);
  const ids = new Set(args.map((word) => pick(pods, { word, what: 'pod' }).id));
  const namespace = flags.text('namespace');
  const { stats } = await client.call(runtimeService.ListPodSandboxStats, {});
  const shown = stats.filter(({ attributes }) => {
    if (ids.size > 0 && !ids.has(attributes?.id ?? '')) return false;
    if (namespace !== undefined && attributes?.metadata?.namespace !== namespace) return false;
    return matchesLabels(flags.all('label'), attributes?.labels ?? {});
  });
  if (flags.text('output') === 'json') terminal.out(jsonText({ stats: shown }));
  else terminal.out(formatTable(POD_COLUMNS, shown));
}

const POD_COLUMNS: readonly Column<cri.PodSandboxStats>[] = [
  { heading: 'POD ID', cell: ({ attributes }) => shortId(attributes?.id ?? '') },
  { heading: 'NAMESPACE', cell: ({ attributes }) => attributes?.metadata?.namespace ?? '' },
  { heading: 'NAME', cell: ({ attributes }) => attributes?.metadata?.name ?? '' },
  { heading: 'CPU', cell: ({ linux }) => cores(linux?.cpu) },
  { heading: 'MEMORY', cell: ({ linux }) => bytes(linux?.memory?.workingSetBytes?.value) },
  { heading: 'RECEIVED', cell: ({ linux }) => bytes(linux?.network?.defaultInterface?.rxBytes?.value) },
  { heading: 'SENT', cell: ({ linux }) => bytes(linux?.network?.defaultInterface?.txBytes?.value) },
  { heading: 'PROCESSES', cell: ({ linux }) => linux?.process?.processCount?.value.toString() ?? '' },
];

/** Cpus in use over the daemon's last two samples; '' until there are two. */
function cores(cpu: cri.CpuUsage | null | undefined): string {
  const nanoCores = cpu?.usageNanoCores?.value;
  return nanoCores === undefined ? '' : (Number(nanoCores.toString()) / 1e9).toFixed(3);
}

function bytes(value: Long | undefined): string {
  return value === undefined ? '' : formatBytes(Number(value.toString()));
}
