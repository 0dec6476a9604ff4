/** `berth pods`: the pods, filtered, as a table. */
import { type cri, runtimeService } from '../../gen/index.ts';
import { shortId } from '../../ids/index.ts';
import type { Client } from '../client.ts';
import type { FlagValues, Invocation } from '../command.ts';
import { connect } from '../connect.ts';
import { jsonText } from '../json.ts';
import { matchesLabels, matchesName, podName, podStateWord } from '../lookup.ts';
import { type Column, formatTable } from '../table.ts';
import { formatAge } from '../units.ts';

interface Row {
  readonly pod: cri.PodSandbox;
  readonly containers: readonly cri.Container[];
  /** Only asked for when it is shown. */
  readonly status: cri.PodSandboxStatus | undefined;
}

export async function run({ flags, terminal }: Invocation): Promise<number> {
  using client = connect({ flags, terminal });
  const { items } = await client.call(runtimeService.ListPodSandbox, {});
  const pods = items.filter((pod) => isWanted(pod, flags)).sort((a, b) => b.createdAt.compare(a.createdAt));
  const format = flags.text('output');
  if (flags.on('quiet')) terminal.out(pods.map((pod) => `${pod.id}\n`).join(''));
  else if (format === 'json') terminal.out(jsonText({ items: pods }));
  else if (format === 'name') terminal.out(pods.map((pod) => `${podName(pod)}\n`).join(''));
  else terminal.out(formatTable(columns(), await rowsOf(client, { pods, wide: format === 'wide' }), format === 'wide'));
  return 0;
}

function isWanted(pod: cri.PodSandbox, flags: FlagValues): boolean {
  const state = flags.text('state') ?? (flags.on('all') ? undefined : 'ready');
  if (state !== undefined && podStateWord(pod.state) !== state) return false;
  const namespace = flags.text('namespace');
  if (namespace !== undefined && pod.metadata?.namespace !== namespace) return false;
  return matchesName(flags.text('name'), pod.metadata?.name ?? '') && matchesLabels(flags.all('label'), pod.labels);
}

async function rowsOf(client: Client, { pods, wide }: { pods: cri.PodSandbox[]; wide: boolean }): Promise<Row[]> {
  const { containers } = await client.call(runtimeService.ListContainers, {});
  const rows: Row[] = [];
  for (const pod of pods) {
    const own = containers.filter((container) => container.podSandboxId === pod.id);
    rows.push({ pod, containers: own, status: wide ? await statusOf(client, pod.id) : undefined });
  }
  return rows;
}

async function statusOf(client: Client, podSandboxId: string): Promise<cri.PodSandboxStatus | undefined> {
  const { status } = await client.call(runtimeService.PodSandboxStatus, { podSandboxId });
  return status ?? undefined;
}

function addresses(status: cri.PodSandboxStatus | undefined): string {
  const network = status?.network;
  return [network?.ip ?? '', ...(network?.additionalIps ?? []).map((each) => each.ip)].filter((ip) => ip !== '').join(',');
}

function runningOf(containers: readonly cri.Container[]): number {
  return containers.filter((container) => container.state === 1).length;
}

function columns(): Column<Row>[] {
  const nowNs = BigInt(Date.now()) * 1_000_000n;
  return [
    { heading: 'POD ID', cell: ({ pod }) => shortId(pod.id) },
    { heading: 'NAMESPACE', cell: ({ pod }) => pod.metadata?.namespace ?? '' },
    { heading: 'NAME', cell: ({ pod }) => pod.metadata?.name ?? '' },
    { heading: 'STATE', cell: ({ pod }) => (podStateWord(pod.state) === 'ready' ? 'Ready' : 'NotReady') },
    { heading: 'RUNNING', cell: ({ containers }) => `${runningOf(containers)}/${containers.length}` },
    { heading: 'ATTEMPT', cell: ({ pod }) => String(pod.metadata?.attempt ?? 0) },
    { heading: 'AGE', cell: ({ pod }) => formatAge(pod.createdAt.toString(), nowNs) },
    { heading: 'IP', wide: true, cell: ({ status }) => addresses(status) },
    { heading: 'HANDLER', wide: true, cell: ({ pod }) => pod.runtimeHandler || '(default)' },
  ];
}
