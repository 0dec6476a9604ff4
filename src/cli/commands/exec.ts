/** `berth exec`: one command in a running container, by ExecSync; its exit code passes through. */
import Long from 'long';
import { RuntimeError } from '../../errors/index.ts';
import { runtimeService } from '../../gen/index.ts';
import { CALL_TIMEOUT_MS } from '../client.ts';
import type { Invocation } from '../command.ts';
import { connect } from '../connect.ts';
import { findContainer } from '../lookup.ts';

export async function run({ args, rest, flags, terminal }: Invocation): Promise<number> {
  if (flags.on('stdin') || flags.on('tty')) {
    throw new RuntimeError(
      'unimplemented',
      'UNIMPLEMENTED',
      'interactive exec (-i, -t) is not in this version; leave the flags out to run the command and see its output when it has ended',
    );
  }
  using client = connect({ flags, terminal });
  const container = await findContainer(client, args[0] ?? '');
  const timeoutSeconds = Number(flags.text('timeout') ?? 0);
  const result = await client.call(
    runtimeService.ExecSync,
    { containerId: container.id, cmd: rest, timeout: Long.fromNumber(timeoutSeconds) },
    { timeoutMs: timeoutSeconds === 0 ? 0 : timeoutSeconds * 1000 + CALL_TIMEOUT_MS },
  );
  terminal.out(result.stdout);
  terminal.err(result.stderr);
  return result.exitCode;
}
