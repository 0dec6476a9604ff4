/** `berth version`: this program's version and what the daemon says of itself. */

import manifest from '../../../package.json' with { type: 'json' };
import { runtimeService } from '../../gen/index.ts';
import type { Invocation } from '../command.ts';
import { connect } from '../connect.ts';
import { jsonText } from '../json.ts';
import { formatPairs } from '../table.ts';

export async function run({ flags, terminal }: Invocation): Promise<number> {
  const json = flags.text('output') === 'json';
  if (!json) terminal.out(formatPairs([['Client', `berth ${manifest.version} (Node ${process.versions.node})`]]));
  using client = connect({ flags, terminal });
  const server = await client.call(runtimeService.Version, {});
  if (json) terminal.out(jsonText({ client: { version: manifest.version, node: process.versions.node }, server }));
  else terminal.out(formatPairs([['Daemon', `${server.runtimeName} ${server.runtimeVersion} (CRI ${server.runtimeApiVersion})`]]));
  return 0;
}
