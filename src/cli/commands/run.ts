/**
 * `berth run`: an image to a running container, in a pod of its own or in one
 * that exists. What was made is removed again when a later step fails.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import Long from 'long';
import { messageOf, RuntimeError } from '../../errors/index.ts';
import { cri, imageService, runtimeService } from '../../gen/index.ts';
import { shortId } from '../../ids/index.ts';
import type { Client } from '../client.ts';
import { type Invocation, UsageError } from '../command.ts';
import { connect } from '../connect.ts';
import { EXIT_FAILURE } from '../failure.ts';
import { allPods, findPod } from '../lookup.ts';
import { daemonRoot, podLogDirectory } from '../pod-logs.ts';
import { type ContainerIdentity, containerConfig, nameFromImage, podConfig } from '../pod-request.ts';
import { printLog } from './logs.ts';
import { credentialsOf, pullImage } from './pull.ts';
import { removePod } from './rmp.ts';
import { DEFAULT_GRACE_SECONDS } from './stop.ts';

/** Letters of the pod's uid that tell apart pods named after the same image. */
const SUFFIX_LENGTH = 5;
/** Flags that shape a pod, and so cannot go with --pod. */
const POD_FLAGS = ['namespace', 'publish', 'hostname', 'host-network'];

export async function run(invocation: Invocation): Promise<number> {
  checkFlags(invocation);
  const { args, flags, terminal } = invocation;
  const reference = args[0] ?? '';
  using client = connect(invocation);
  const imageId = await ensureImage(client, { reference, invocation });
  const place = flags.on('pod') ? await placeInPod(client, invocation) : await makePod(client, invocation);
  let containerId: string;
  try {
    containerId = await startContainer(client, { invocation, place, imageId });
  } catch (error) {
    await undo(place.undo, invocation);
    throw error;
  }
  if (!flags.on('attach')) {
    terminal.out(`${containerId}\n`);
    return 0;
  }
  return await attached(client, { invocation, place, containerId });
}

function checkFlags({ command, flags }: Invocation): void {
  if (flags.on('detach') && flags.on('attach')) throw new UsageError('--detach and --attach exclude each other', command.name);
  if (flags.on('rm') && !flags.on('attach'))
    throw new UsageError('--rm needs --attach: without it nobody is there when the container ends', command.name);
  const wrong = flags.on('pod') ? POD_FLAGS.find((name) => flags.on(name)) : undefined;
  if (wrong !== undefined) throw new UsageError(`--${wrong} cannot go with --pod: the pod exists already`, command.name);
  if (flags.on('host-network') && flags.on('publish'))
    throw new UsageError('--publish cannot go with --host-network: its ports are the node’s', command.name);
}

async function ensureImage(client: Client, { reference, invocation }: { reference: string; invocation: Invocation }): Promise<string> {
  const { image } = await client.call(imageService.ImageStatus, { image: { image: reference } });
  if (image !== null) return image.id;
  const { flags, terminal } = invocation;
  return await pullImage(client, { reference, auth: credentialsOf(invocation), terminal: flags.on('quiet') ? undefined : terminal });
}

/** The pod the container goes into. */
interface Place {
  readonly podSandboxId: string;
  readonly config: cri.PodSandboxConfigInit;
  readonly pod: ContainerIdentity['pod'];
  readonly containerName: string;
  readonly hostNetwork: boolean;
  /** Takes back what was made of the pod. */
  readonly undo: () => Promise<void>;
}

async function placeInPod(client: Client, { args, flags }: Invocation): Promise<Place> {
  const pod = await findPod(client, flags.text('pod') ?? '');
  const { status } = await client.call(runtimeService.PodSandboxStatus, { podSandboxId: pod.id });
  const { name = '', namespace = '', uid = '' } = pod.metadata ?? {};
  return {
    podSandboxId: pod.id,
    config: { metadata: pod.metadata },
    pod: { name, namespace, uid },
    containerName: flags.text('name') ?? nameFromImage(args[0] ?? '', ''),
    hostNetwork: status?.linux?.namespaces?.options?.network === cri.NamespaceMode.NODE,
    undo: async () => undefined, // the pod is not ours
  };
}

async function makePod(client: Client, { args, flags }: Invocation): Promise<Place> {
  const uid = randomUUID();
  const name = flags.text('name') ?? nameFromImage(args[0] ?? '', uid.slice(0, SUFFIX_LENGTH));
  const namespace = flags.text('namespace') ?? 'default';
  const root = await daemonRoot(client);
  const logDirectory = podLogDirectory(root, { name, namespace, uid });
  if (logDirectory === undefined) {
    throw new RuntimeError(
      'invalid',
      'INVALID_ARGUMENT',
      `${JSON.stringify(`${namespace}/${name}`)} cannot name a pod; use letters, digits, dashes and dots, beginning with a letter or digit`,
    );
  }
  await refuseTaken(client, `${namespace}/${name}`);
  await mkdir(logDirectory, { recursive: true, mode: 0o750 });
  const config = podConfig(flags, { name, namespace, uid, logDirectory });
  try {
    const { podSandboxId } = await client.call(runtimeService.RunPodSandbox, { config }, { timeoutMs: RUN_POD_TIMEOUT_MS });
    const pod = { id: podSandboxId, metadata: { name, namespace, uid, attempt: 0 } };
    return {
      podSandboxId,
      config,
      pod: { name, namespace, uid },
      containerName: name,
      hostNetwork: flags.on('host-network'),
      undo: () => removePod(client, { pod, root }),
    };
  } catch (error) {
    await rm(logDirectory, { recursive: true, force: true });
    throw error;
  }
}

/** CRI tells pods apart by uid, people by name: a second pod of a name could only be reached by its id. */
async function refuseTaken(client: Client, fullName: string): Promise<void> {
  const taken = (await allPods(client)).find(({ names }) => names.includes(fullName));
  if (taken === undefined) return;
  throw new RuntimeError(
    'already-exists',
    'SANDBOX_EXISTS',
    `there is a pod ${fullName} already (${shortId(taken.id)}); choose another --name, add to it with --pod, or remove it first (berth rmp -f)`,
  );
}

/** What kubelet allows RunPodSandbox: twice its usual time. */
const RUN_POD_TIMEOUT_MS = 240_000;

interface Start {
  readonly invocation: Invocation;
  readonly place: Place;
  readonly imageId: string;
}

async function startContainer(client: Client, { invocation, place, imageId }: Start): Promise<string> {
  const { args, rest, flags } = invocation;
  const { podSandboxId, pod, hostNetwork, containerName: name } = place;
  const config = containerConfig(flags, { name, pod, imageId, reference: args[0] ?? '', command: rest, hostNetwork });
  const { containerId } = await client.call(runtimeService.CreateContainer, { podSandboxId, config, sandboxConfig: place.config });
  try {
    await client.call(runtimeService.StartContainer, { containerId });
  } catch (error) {
    await undo(async () => void (await client.call(runtimeService.RemoveContainer, { containerId })), invocation);
    throw error;
  }
  return containerId;
}

/** Undoes a step after a failure; when that fails too it is told, and the first failure stays the one that counts. */
async function undo(step: () => Promise<void>, { terminal }: Invocation): Promise<void> {
  try {
    await step();
  } catch (error) {
    terminal.err(`berth: what was made could not be removed: ${messageOf(error)}\n`);
  }
}

interface Attached {
  readonly invocation: Invocation;
  readonly place: Place;
  readonly containerId: string;
}

/** Follows the output until the container ends; its exit code is the command's. */
async function attached(client: Client, { invocation, place, containerId }: Attached): Promise<number> {
  const { flags, terminal } = invocation;
  {
    using _ = flags.on('rm') ? stopOnInterrupt(client, { containerId, invocation }) : undefined;
    await printLog({ client, terminal, containerId }, { follow: true, timestamps: false });
  }
  const { status } = await client.call(runtimeService.ContainerStatus, { containerId });
  if (flags.on('rm')) {
    await client.call(runtimeService.RemoveContainer, { containerId });
    await undo(place.undo, invocation);
  }
  return status?.exitCode ?? EXIT_FAILURE;
}

/** The first Ctrl-C stops the container, so that what follows its end (--rm) still happens; a second one ends this command at once. */
function stopOnInterrupt(client: Client, { containerId, invocation }: Pick<Attached, 'containerId' | 'invocation'>): Disposable {
  const stop = () => {
    void undo(
      async () => void (await client.call(runtimeService.StopContainer, { containerId, timeout: Long.fromNumber(DEFAULT_GRACE_SECONDS) })),
      invocation,
    );
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.once(signal, stop);
  return {
    [Symbol.dispose]: () => {
      for (const signal of signals) process.off(signal, stop);
    },
  };
}
