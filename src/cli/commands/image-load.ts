/** `berth image load`: brings the images of an archive onto the node, prints their ids and names. */
import { randomUUID } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { diskError, messageOf, RuntimeError } from '../../errors/index.ts';
import { operatorService } from '../../gen/index.ts';
import { type Invocation, type Terminal, UsageError } from '../command.ts';
import { connect } from '../connect.ts';
import { CallError } from '../failure.ts';
import { LoadView } from '../load-view.ts';
import { showing } from './pull.ts';

/** What standard input is called in messages. */
const INPUT = 'standard input';

export async function run({ command, flags, terminal }: Invocation): Promise<number> {
  const given = flags.text('input') ?? '-';
  if (given === '-' && terminal.isInTty) throw new UsageError(`${INPUT} is a terminal; name the archive with --input FILE`, command.name);
  if (given === '') throw new UsageError('--input is empty', command.name);
  using client = connect({ flags, terminal });
  await using archive = given === '-' ? await spooled(terminal) : named(given);
  const request = { path: archive.path, pin: flags.on('pin'), name: flags.text('name') ?? '' };
  const load = () => client.call(operatorService.LoadImages, request, { timeoutMs: 0 });
  const quiet = flags.on('quiet');
  try {
    const { images } = await (quiet ? load() : showing(client, new LoadView(terminal, archive.path), load));
    for (const { imageId, names } of images) terminal.out(`${(quiet ? [imageId] : [imageId, ...names]).join(' ')}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    throw new CallError(error.status, error.reason, error.message.replaceAll(archive.path, archive.called));
  }
}

/** An archive that the daemon can open by its path. */
interface Archive extends AsyncDisposable {
  readonly path: string;
  /** Its name in messages. */
  readonly called: string;
}

function named(given: string): Archive {
  const path = resolve(given);
  return { path, called: path, [Symbol.asyncDispose]: async () => undefined };
}

/**
 * Standard input as a file, since the daemon reads an archive out of order.
 * It has no name any more when it is filled: however this process ends, the
 * kernel frees it. The daemon finds it among our descriptors.
 */
async function spooled(terminal: Terminal): Promise<Archive> {
  const dir = terminal.env.TMPDIR === undefined || terminal.env.TMPDIR === '' ? '/var/tmp' : terminal.env.TMPDIR;
  const path = join(dir, `berth-load-${randomUUID()}`);
  try {
    const file = await open(path, 'wx+', 0o600);
    await using cleanUp = new AsyncDisposableStack();
    cleanUp.defer(() => file.close());
    await rm(path);
    for await (const chunk of terminal.input) {
      for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at, chunk.length - at)).bytesWritten;
    }
    const owned = cleanUp.move();
    return { path: `/proc/${process.pid}/fd/${file.fd}`, called: INPUT, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  } catch (error) {
    const known = diskError(error, `copying ${INPUT} into ${dir}`);
    if (known instanceof RuntimeError) throw known;
    throw new RuntimeError(
      'invalid',
      'INVALID_ARGUMENT',
      `copying ${INPUT} into ${dir} failed: ${messageOf(error)}; set TMPDIR to another directory`,
    );
  }
}
