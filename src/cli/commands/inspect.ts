/** `berth inspect`: everything the daemon tells about an object, its verbose info unfolded, as JSON. */
import { isRuntimeError, type Reason, RuntimeError } from '../../errors/index.ts';
import { imageService, runtimeService } from '../../gen/index.ts';
import type { Client } from '../client.ts';
import type { Invocation } from '../command.ts';
import { connect } from '../connect.ts';
import { CallError } from '../failure.ts';
import { jsonText } from '../json.ts';
import { findContainer, findPod } from '../lookup.ts';

type Look = (client: Client, word: string) => Promise<unknown>;

export async function run({ args, flags, terminal }: Invocation): Promise<number> {
  using client = connect({ flags, terminal });
  const type = flags.text('type');
  const found: unknown[] = [];
  for (const word of args) found.push(await inspectOne(client, { word, type }));
  terminal.out(jsonText(found.length === 1 ? found[0] : found));
  return 0;
}

const LOOKS: Readonly<Record<string, Look>> = { container: inspectContainer, pod: inspectPod, image: inspectImage };

const NOT_FOUND: Readonly<Record<string, Reason>> = { pod: 'SANDBOX_NOT_FOUND', image: 'IMAGE_NOT_FOUND' };

async function inspectOne(client: Client, { word, type }: { word: string; type: string | undefined }): Promise<unknown> {
  for (const [name, look] of Object.entries(LOOKS)) {
    if (type !== undefined && type !== name) continue;
    const found = await look(client, word);
    if (found !== undefined) return found;
  }
  throw new RuntimeError(
    'not-found',
    NOT_FOUND[type ?? ''] ?? 'CONTAINER_NOT_FOUND',
    `no ${type ?? 'container, pod or image'} has the id or name ${JSON.stringify(word)}`,
  );
}

async function inspectContainer(client: Client, word: string): Promise<unknown> {
  const container = await absent('CONTAINER_NOT_FOUND', findContainer(client, word));
  if (container === undefined) return undefined;
  const { status, info } = await client.call(runtimeService.ContainerStatus, { containerId: container.id, verbose: true });
  return { status, info: hoisted(info) };
}

async function inspectPod(client: Client, word: string): Promise<unknown> {
  const pod = await absent('SANDBOX_NOT_FOUND', findPod(client, word));
  if (pod === undefined) return undefined;
  const { status, info } = await client.call(runtimeService.PodSandboxStatus, { podSandboxId: pod.id, verbose: true });
  return { status, info: hoisted(info) };
}

async function inspectImage(client: Client, word: string): Promise<unknown> {
  try {
    const { image, info } = await client.call(imageService.ImageStatus, { image: { image: word }, verbose: true });
    return image === null ? undefined : { status: image, info: hoisted(info) };
  } catch (error) {
    if (error instanceof CallError && error.status === 'INVALID_ARGUMENT') return undefined; // a word that cannot name an image names none
    throw error;
  }
}

async function absent<T>(reason: 'CONTAINER_NOT_FOUND' | 'SANDBOX_NOT_FOUND', search: Promise<T>): Promise<T | undefined> {
  try {
    return await search;
  } catch (error) {
    if (isRuntimeError(error, reason)) return undefined;
    throw error;
  }
}

/** Other CRI tools put everything under one key, `info`, and so does berth: it is shown without that. */
function hoisted(info: Readonly<Record<string, string>>): unknown {
  const { info: only, ...others } = unfold(info);
  return only === undefined || Object.keys(others).length > 0 ? unfold(info) : only;
}

/** The values of a verbose info map are JSON or plain text. */
export function unfold(info: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(info).map(([key, value]) => [key, parsedOr(value)]));
}

function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text; // plain text is allowed, too
  }
}
