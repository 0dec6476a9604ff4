/** Which socket a command talks to: --socket, then BERTH_SOCKET, then the default of the configuration. */
import { CONFIG_KEYS } from '../config/index.ts';
import { Client } from './client.ts';
import type { Invocation } from './command.ts';

/** The socket named on the command line or in the environment; undefined when neither does. */
export function namedSocket({ flags, terminal }: Pick<Invocation, 'flags' | 'terminal'>): string | undefined {
  const named = flags.text('socket') ?? terminal.env.BERTH_SOCKET;
  // Other CRI tools write the endpoint as a URL; both are understood.
  return named === undefined || named === '' ? undefined : named.replace(/^unix:(\/\/)?/, '');
}

/** A client of that socket; connects with the first call. */
export function connect(invocation: Pick<Invocation, 'flags' | 'terminal'>): Client {
  return new Client(namedSocket(invocation) ?? String(CONFIG_KEYS.get('socket')?.field.default));
}
