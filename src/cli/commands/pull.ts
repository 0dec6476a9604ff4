/** `berth pull`: pulls an image, shows how far it is, prints its id. */
import { imageService, operatorService } from '../../gen/index.ts';
import type { Client } from '../client.ts';
import { type Invocation, type Terminal, UsageError } from '../command.ts';
import { connect } from '../connect.ts';
import { PullView } from '../pull-view.ts';

export async function run({ command, args, flags, terminal }: Invocation): Promise<number> {
  const auth = credentialsOf({ command, flags, terminal });
  using client = connect({ flags, terminal });
  const id = await pullImage(client, { reference: args[0] ?? '', auth, terminal: flags.on('quiet') ? undefined : terminal });
  terminal.out(`${id}\n`);
  return 0;
}

/** Credentials of a pull. */
export interface PullCredentials {
  readonly username: string;
  readonly password: string;
}

/** From --creds or BERTH_CREDS; undefined for none. Throws UsageError. */
export function credentialsOf({
  command,
  flags,
  terminal,
}: Pick<Invocation, 'command' | 'flags' | 'terminal'>): PullCredentials | undefined {
  const given = flags.text('creds') ?? terminal.env.BERTH_CREDS;
  if (given === undefined || given === '') return undefined;
  const colon = given.indexOf(':');
  // The value itself stays out of the message: it is a secret.
  if (colon < 1) throw new UsageError('--creds (or BERTH_CREDS) is not USER:PASSWORD', command.name);
  return { username: given.slice(0, colon), password: given.slice(colon + 1) };
}

/** What to pull and where to show it. */
export interface PullJob {
  readonly reference: string;
  readonly auth: PullCredentials | undefined;
  /** undefined shows nothing. */
  readonly terminal: Terminal | undefined;
}

/** Pulls and answers the image's id. */
export async function pullImage(client: Client, { reference, auth, terminal }: PullJob): Promise<string> {
  const pull = async (): Promise<string> => {
    const { imageRef } = await client.call(imageService.PullImage, { image: { image: reference }, auth: auth ?? null }, { timeoutMs: 0 });
    return imageRef;
  };
  if (terminal === undefined) return await pull();
  return await showing(client, new PullView(terminal, reference), pull);
}

/** Does `work` while `view` is told how pulls go on. */
export async function showing<T>(client: Client, view: Pick<PullView, 'update'>, work: () => Promise<T>): Promise<T> {
  const ended = new AbortController();
  const watching = watch(client, { view, once: false, signal: ended.signal });
  try {
    const result = await work();
    // Changes are told ten times a second at most: a quick pull may have ended before the first was.
    await watch(client, { view, once: true, signal: ended.signal });
    return result;
  } finally {
    ended.abort();
    await watching;
  }
}

interface Watch {
  readonly view: Pick<PullView, 'update'>;
  /** Only the present state. */
  readonly once: boolean;
  readonly signal: AbortSignal;
}

async function watch(client: Client, { view, once, signal }: Watch): Promise<void> {
  try {
    for await (const { pulls } of client.stream(operatorService.WatchPulls, { once }, signal)) view.update(pulls);
  } catch {
    // Progress is a courtesy: another CRI runtime has none, and whatever broke the stream shows in the pull itself.
  }
}
