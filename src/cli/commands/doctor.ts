/** `berth doctor`: what berth needs of this node, checked by trying. */
import { loadConfig } from '../../config/index.ts';
import type { Invocation } from '../command.ts';
import { namedSocket } from '../connect.ts';
import { type Check, examine, type Severity, verdict } from '../doctor/index.ts';
import { jsonText } from '../json.ts';

export async function run({ flags, terminal }: Invocation): Promise<number> {
  const { config } = loadConfig({ file: flags.text('config') });
  const checks = await examine({ config, socket: namedSocket({ flags, terminal }) ?? config.socket });
  terminal.out(flags.text('output') === 'json' ? jsonText({ checks }) : report(checks));
  return verdict(checks);
}

const WORDS: Readonly<Record<Severity, string>> = { ok: 'ok  ', warn: 'WARN', fail: 'FAIL' };

/** The checks as lines, advice below what it is for, and a summary. */
export function report(checks: readonly Check[]): string {
  const longest = Math.max(0, ...checks.map((check) => check.id.length));
  const lines = checks.flatMap((check) => {
    const line = `${WORDS[check.severity]}  ${check.id.padEnd(longest)}  ${check.message}`;
    return check.advice === '' ? [line] : [line, `${' '.repeat(longest + 8)}-> ${check.advice}`];
  });
  const count = (severity: Severity): number => checks.filter((check) => check.severity === severity).length;
  return `${lines.join('\n')}\n\n${count('ok')} ok, ${count('warn')} warnings, ${count('fail')} failures\n`;
}
