/** `berth image push`: sends an image to a registry, prints its name with the digest it has there. */
import { operatorService } from '../../gen/index.ts';
import type { Invocation } from '../command.ts';
import { connect } from '../connect.ts';
import { formatBytes } from '../units.ts';
import { credentialsOf } from './pull.ts';

export async function run({ command, args, flags, terminal }: Invocation): Promise<number> {
  const [image = '', target = ''] = args;
  const credentials = credentialsOf({ command, flags, terminal }) ?? null;
  using client = connect({ flags, terminal });
  const { name, bytesSent, bytesPresent } = await client.call(operatorService.PushImage, { image, target, credentials }, { timeoutMs: 0 });
  terminal.out(`${name}\n`);
  terminal.err(`${formatBytes(bytesSent.toNumber())} sent, ${formatBytes(bytesPresent.toNumber())} were there already\n`);
  return 0;
}
