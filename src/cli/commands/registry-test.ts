/** `berth registry test`: asks every endpoint that a pull would ask, and says what each of them is and answers. */
import { type operator, operatorService } from '../../gen/index.ts';
import type { Invocation } from '../command.ts';
import { connect } from '../connect.ts';
import { EXIT_FAILURE } from '../failure.ts';
import { jsonText } from '../json.ts';
import { formatPairs } from '../table.ts';
import { formatTime } from '../units.ts';
import { credentialsOf } from './pull.ts';

/** The exit code is 0 when a pull would find the image. */
export async function run({ command, args, flags, terminal }: Invocation): Promise<number> {
  const credentials = credentialsOf({ command, flags, terminal });
  using client = connect({ flags, terminal });
  const request = { image: args[0] ?? '', credentials: credentials ?? null };
  const answer = await client.call(operatorService.TestRegistry, request, { timeoutMs: 0 });
  terminal.out(flags.text('output') === 'json' ? jsonText(answer) : formatReport(answer));
  return decisive(answer)?.then === 'use' ? 0 : EXIT_FAILURE;
}

/** The endpoint where the way ends: one that serves, or one that a pull does not go on from. */
const decisive = ({ endpoints }: operator.TestRegistryResponse): operator.EndpointReport | undefined =>
  endpoints.find(({ then }) => then !== 'next');

function formatReport(answer: operator.TestRegistryResponse): string {
  const used = decisive(answer);
  const blocks = answer.endpoints.map((endpoint, at) => `${at + 1}. ${endpoint.url}\n${indented(formatPairs(pairsOf(endpoint)))}`);
  const result = used?.then === 'use' ? `a pull gets it from ${used.url}` : 'a pull does not get it';
  return `${[answer.reference, ...blocks, result].join('\n\n').trimEnd()}\n`;
}

const indented = (text: string): string => text.replace(/^(?=.)/gm, '   ').trimEnd();

function pairsOf(endpoint: operator.EndpointReport): [name: string, value: string][] {
  const { own, source, tls, proxy, said, credentials, login, digest, connectedAfter, answeredAfter } = endpoint;
  const times = [
    ...(connectedAfter.isZero() ? [] : [`connected after ${milliseconds(connectedAfter.toString())}`]),
    ...(answeredAfter.isZero() ? [] : [`answered after ${milliseconds(answeredAfter.toString())}`]),
  ];
  return [
    ['Named by', `${source}${own ? '' : ' (a mirror)'}`],
    ...(proxy === '' ? [] : [['Proxy', proxy] satisfies [string, string]]),
    ...tlsPairs(endpoint.url, tls),
    ['Login', login === 'none' ? 'none' : `${login}, ${credentials === 'request' ? 'credentials of the request' : credentials}`],
    ['Answer', said],
    ...(digest === '' ? [] : [['Digest', digest] satisfies [string, string]]),
    ...(times.length === 0 ? [] : [['Time', times.join(', ')] satisfies [string, string]]),
    ['Then', THEN[endpoint.then] ?? endpoint.then],
  ];
}

const THEN: Readonly<Record<string, string>> = {
  use: 'a pull takes it from here',
  next: 'a pull asks the next one',
  stop: 'a pull ends here',
};

function tlsPairs(url: string, tls: operator.TlsReport | null): [name: string, value: string][] {
  if (tls === null) return url.startsWith('https:') ? [] : [['TLS', 'none: plain http']];
  return [
    ['TLS', `${tls.version}${tls.verified ? '' : ', NOT VERIFIED (skip_verify)'}`],
    ['Certificate', `${tls.subject}; issued by ${tls.issuer}; until ${formatTime(tls.notAfter.toString())}`],
  ];
}

const milliseconds = (ns: string): string => `${(Number(ns) / 1e6).toFixed(1)} ms`;
