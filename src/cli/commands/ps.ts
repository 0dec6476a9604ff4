/** `berth ps`: the containers, filtered, with how ended ones ended. */
import { cri, runtimeService } from '../../gen/index.ts';
import { shortId } from '../../ids/index.ts';
import type { Client } from '../client.ts';
import type { FlagValues, Invocation } from '../command.ts';
import { connect } from '../connect.ts';
import { CallError } from '../failure.ts';
import { jsonText } from '../json.ts';
import { containerStateWord, findPod, matchesLabels, matchesName, podName } from '../lookup.ts';
import { type Column, formatTable } from '../table.ts';
import { formatAge } from '../units.ts';

interface Row {
  readonly container: cri.Container;
  readonly pod: cri.PodSandbox | undefined;
  /** Of ended containers, and of all with -o wide. */
  readonly status: cri.ContainerStatus | undefined;
}

export async function run({ flags, terminal }: Invocation): Promise<number> {
  using client = connect({ flags, terminal });
  const [{ containers }, { items }] = await Promise.all([
    client.call(runtimeService.ListContainers, {}),
    client.call(runtimeService.ListPodSandbox, {}),
  ]);
  const pods = new Map(items.map((pod) => [pod.id, pod]));
  const podWord = flags.text('pod');
  const podId = podWord === undefined ? undefined : (await findPod(client, podWord)).id;
  const wanted = containers
    .filter((each) => (podId === undefined || each.podSandboxId === podId) && isWanted(each, { flags, pod: pods.get(each.podSandboxId) }))
    .sort((a, b) => b.createdAt.compare(a.createdAt));
  const format = flags.text('output');
  if (flags.on('quiet')) terminal.out(wanted.map((each) => `${each.id}\n`).join(''));
  else if (format === 'json') terminal.out(jsonText({ containers: wanted }));
  else if (format === 'name') terminal.out(wanted.map((each) => `${each.metadata?.name}\n`).join(''));
  else terminal.out(formatTable(columns(), await rowsOf(client, { wanted, pods, wide: format === 'wide' }), format === 'wide'));
  return 0;
}

interface Wish {
  readonly flags: FlagValues;
  readonly pod: cri.PodSandbox | undefined;
}

function isWanted(container: cri.Container, { flags, pod }: Wish): boolean {
  const state = flags.text('state') ?? (flags.on('all') ? undefined : 'running');
  if (state !== undefined && containerStateWord(container.state) !== state) return false;
  const namespace = flags.text('namespace');
  if (namespace !== undefined && pod?.metadata?.namespace !== namespace) return false;
  return matchesName(flags.text('name'), container.metadata?.name ?? '') && matchesLabels(flags.all('label'), container.labels);
}

interface Listed {
  readonly wanted: readonly cri.Container[];
  readonly pods: ReadonlyMap<string, cri.PodSandbox>;
  readonly wide: boolean;
}

async function rowsOf(client: Client, { wanted, pods, wide }: Listed): Promise<Row[]> {
  const rows: Row[] = [];
  for (const container of wanted) {
    const asks = wide || container.state === cri.ContainerState.CONTAINER_EXITED;
    rows.push({ container, pod: pods.get(container.podSandboxId), status: asks ? await statusOf(client, container.id) : undefined });
  }
  return rows;
}

async function statusOf(client: Client, containerId: string): Promise<cri.ContainerStatus | undefined> {
  try {
    const { status } = await client.call(runtimeService.ContainerStatus, { containerId });
    return status ?? undefined;
  } catch (error) {
    if (error instanceof CallError && error.status === 'NOT_FOUND') return undefined; // removed since it was listed
    throw error;
  }
}

/** `Running`, `Created`, `Completed`, `Error (3)`, `OOMKilled (137)`. */
function stateCell({ container, status }: Row): string {
  const word = containerStateWord(container.state);
  if (word === 'exited' && status !== undefined) {
    return status.exitCode === 0 ? status.reason || 'Exited' : `${status.reason || 'Exited'} (${status.exitCode})`;
  }
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function columns(): Column<Row>[] {
  const nowNs = BigInt(Date.now()) * 1_000_000n;
  return [
    { heading: 'CONTAINER ID', cell: ({ container }) => shortId(container.id) },
    { heading: 'NAME', cell: ({ container }) => container.metadata?.name ?? '' },
    { heading: 'STATE', cell: stateCell },
    { heading: 'ATTEMPT', cell: ({ container }) => String(container.metadata?.attempt ?? 0) },
    { heading: 'AGE', cell: ({ container }) => formatAge(container.createdAt.toString(), nowNs) },
    { heading: 'IMAGE', cell: ({ container }) => container.image?.userSpecifiedImage || container.image?.image || '' },
    { heading: 'POD', cell: ({ pod }) => podName(pod) },
    { heading: 'STARTED', wide: true, cell: ({ status }) => formatAge(status?.startedAt.toString(), nowNs) },
    { heading: 'POD ID', wide: true, cell: ({ container }) => shortId(container.podSandboxId) },
    { heading: 'LOG', wide: true, cell: ({ status }) => status?.logPath ?? '' },
  ];
}
