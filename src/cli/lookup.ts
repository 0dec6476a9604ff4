/**
 * From what a person types to one object: an id, the start of an id, a name,
 * or NAMESPACE/NAME. The whole list is asked for and matched here, because the
 * daemon's stop and remove answer success for an unknown id, as CRI wants.
 */
import { RuntimeError } from '../errors/index.ts';
import { cri, runtimeService } from '../gen/index.ts';
import { shortId } from '../ids/index.ts';
import type { Client } from './client.ts';

/** A candidate of a search. */
export interface Candidate {
  readonly id: string;
  readonly names: readonly string[];
  /** Candidates of the same lineage (restarts of one container) do not make a name ambiguous: the newest counts. */
  readonly lineage: string;
  readonly createdAtNs: bigint;
}

/** What is searched for, for the error's words. */
interface Search {
  readonly word: string;
  readonly what: 'container' | 'pod';
}

/** The one candidate `word` stands for. Throws CONTAINER_NOT_FOUND, SANDBOX_NOT_FOUND or AMBIGUOUS_ID. */
export function pick<C extends Candidate>(candidates: readonly C[], { word, what }: Search): C {
  const exact = candidates.find((each) => each.id === word);
  if (exact !== undefined) return exact;
  const named = candidates.filter((each) => each.names.includes(word));
  const found = named.length > 0 ? newestOfEach(named) : candidates.filter((each) => word !== '' && each.id.startsWith(word));
  const [first, second] = found;
  if (first === undefined) {
    const reason = what === 'pod' ? 'SANDBOX_NOT_FOUND' : 'CONTAINER_NOT_FOUND';
    throw new RuntimeError('not-found', reason, `no ${what} has the id or name ${JSON.stringify(word)}`);
  }
  if (second !== undefined) {
    const ids = found.map((each) => `${shortId(each.id)} (${each.names.at(-1)})`).join(', ');
    throw new RuntimeError('invalid', 'AMBIGUOUS_ID', `${JSON.stringify(word)} stands for ${found.length} ${what}s: ${ids}`);
  }
  return first;
}

function newestOfEach<C extends Candidate>(candidates: readonly C[]): C[] {
  const newest = new Map<string, C>();
  for (const each of candidates) {
    const before = newest.get(each.lineage);
    if (before === undefined || before.createdAtNs < each.createdAtNs) newest.set(each.lineage, each);
  }
  return [...newest.values()];
}

/** A pod as a candidate. */
export interface PodCandidate extends Candidate {
  readonly pod: cri.PodSandbox;
}

/** A container as a candidate. */
export interface ContainerCandidate extends Candidate {
  readonly container: cri.Container;
}

/** `NAMESPACE/NAME` of a pod. */
export function podName(pod: Pick<cri.PodSandbox, 'metadata'> | undefined): string {
  return pod === undefined ? '' : `${pod.metadata?.namespace}/${pod.metadata?.name}`;
}

/** Every pod. */
export async function allPods(client: Client): Promise<PodCandidate[]> {
  const { items } = await client.call(runtimeService.ListPodSandbox, {});
  return items.map((pod) => ({
    id: pod.id,
    names: [pod.metadata?.name ?? '', podName(pod)],
    lineage: pod.metadata?.uid ?? pod.id,
    createdAtNs: BigInt(pod.createdAt.toString()),
    pod,
  }));
}

/** Every container. */
export async function allContainers(client: Client): Promise<ContainerCandidate[]> {
  const { containers } = await client.call(runtimeService.ListContainers, {});
  return containers.map((container) => ({
    id: container.id,
    names: [container.metadata?.name ?? ''],
    lineage: `${container.podSandboxId} ${container.metadata?.name}`,
    createdAtNs: BigInt(container.createdAt.toString()),
    container,
  }));
}

/** The pod `word` stands for. */
export async function findPod(client: Client, word: string): Promise<cri.PodSandbox> {
  return pick(await allPods(client), { word, what: 'pod' }).pod;
}

/** The container `word` stands for. */
export async function findContainer(client: Client, word: string): Promise<cri.Container> {
  return pick(await allContainers(client), { word, what: 'container' }).container;
}

/** Does `name` match a pattern in which * stands for anything? */
export function matchesName(pattern: string | undefined, name: string): boolean {
  if (pattern === undefined) return true;
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(name);
}

/** Does an object carry every label asked for, given as KEY or KEY=VALUE? */
export function matchesLabels(wanted: readonly string[], labels: Readonly<Record<string, string>>): boolean {
  return wanted.every((label) => {
    const equals = label.indexOf('=');
    return equals < 0 ? Object.hasOwn(labels, label) : labels[label.slice(0, equals)] === label.slice(equals + 1);
  });
}

/** The words of a container's state. */
export function containerStateWord(state: number): 'created' | 'running' | 'exited' | 'unknown' {
  if (state === cri.ContainerState.CONTAINER_CREATED) return 'created';
  if (state === cri.ContainerState.CONTAINER_RUNNING) return 'running';
  return state === cri.ContainerState.CONTAINER_EXITED ? 'exited' : 'unknown';
}

/** The words of a pod's state. */
export function podStateWord(state: number): 'ready' | 'notready' {
  return state === cri.PodSandboxState.SANDBOX_READY ? 'ready' : 'notready';
}
