/** `berth image save`: writes images into an archive, a file or standard output. */
import { randomUUID } from 'node:crypto';
import { open, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { diskError, messageOf, RuntimeError } from '../../errors/index.ts';
import { operator, operatorService } from '../../gen/index.ts';
import type { Client } from '../client.ts';
import { type Invocation, type Terminal, UsageError } from '../command.ts';
import { connect } from '../connect.ts';

const { ArchiveFormat } = operator;

export async function run({ command, args, flags, terminal }: Invocation): Promise<number> {
  const given = flags.text('output') ?? '-';
  if (given === '') throw new UsageError('--output is empty', command.name);
  if (given === '-' && terminal.isOutTty) {
    throw new UsageError('an archive is nothing for a terminal; redirect standard output or name a file with --output', command.name);
  }
  using client = connect({ flags, terminal });
  const format = flags.text('format') === 'docker' ? ArchiveFormat.ARCHIVE_DOCKER : ArchiveFormat.ARCHIVE_OCI;
  using interrupt = onInterrupt();
  const chunks = archive(client, { images: [...args], format }, interrupt.signal);
  if (given === '-') await toOutput(chunks, terminal);
  else await toFile(chunks, given);
  return 0;
}

async function* archive(client: Client, request: operator.SaveImagesRequestInit, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const { chunk } of client.stream(operatorService.SaveImages, request, signal)) yield chunk;
  signal.throwIfAborted(); // what was interrupted is not whole
}

async function toOutput(chunks: AsyncIterable<Uint8Array>, terminal: Terminal): Promise<void> {
  for await (const chunk of chunks) {
    terminal.out(chunk);
    await terminal.drained();
  }
}

/** A file gets its name when it is whole; a device or pipe is written to as it is. */
async function toFile(chunks: AsyncIterable<Uint8Array>, given: string): Promise<void> {
  try {
    const path = await realpath(given).catch(() => given); // a link stays a link
    const there = await stat(path).catch(() => undefined);
    if (there !== undefined && !there.isFile()) {
      await write(chunks, path, 'w');
      return;
    }
    const partial = join(dirname(path), `.berth-save-${randomUUID()}`);
    await using cleanUp = new AsyncDisposableStack();
    cleanUp.defer(() => rm(partial, { force: true }));
    await write(chunks, partial, 'wx');
    await rename(partial, path);
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    const known = diskError(error, `writing ${given}`);
    if (known instanceof RuntimeError) throw known;
    throw new RuntimeError('invalid', 'INVALID_ARGUMENT', `writing ${given} failed: ${messageOf(error)}; name another file`);
  }
}

async function write(chunks: AsyncIterable<Uint8Array>, path: string, flags: 'w' | 'wx'): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at, chunk.length - at)).bytesWritten;
    }
    if (flags === 'wx') await file.sync();
  } finally {
    await file.close();
  }
}

/** A signal that ends the command, so that what it began is cleaned up first. */
function onInterrupt(): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const stop = (name: NodeJS.Signals): void =>
    controller.abort(new RuntimeError('cancelled', 'CANCELLED', `interrupted by ${name}; nothing was written`));
  for (const name of signals) process.once(name, stop);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const name of signals) process.off(name, stop);
    },
  };
}
