// What the demo prints: numbered steps, each command as a person would type it, and what it answered, indented.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from '../background.ts';
import { BERTH, type Throwaway } from '../throwaway.ts';

const colour = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const paint = (code: string, text: string) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
let steps = 0;
let interruption: Error | undefined;

/** From now on every step throws `reason` instead of going on. */
export function interrupt(reason: Error): void {
  interruption = reason;
}

/** Waits for `test`; false when it did not come true in time. Throws when the demo was interrupted. */
export function until(test: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> {
  return eventually(() => {
    if (interruption !== undefined) throw interruption;
    return test();
  }, timeoutMs);
}

/** Heading of the next step. */
export function step(title: string): void {
  steps += 1;
  console.log(`\n${paint('1', `${steps}. ${title}`)}`);
}

/** A line beside the commands. */
export function note(text: string): void {
  console.log(`   ${text}`);
}

/** Something the host cannot show. */
export function limitation(text: string): void {
  console.log(`   ${paint('33', `On this host: ${text}`)}`);
}

/** A command line as typed. */
export function typed(words: readonly string[]): void {
  const quoted = words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`));
  console.log(`   ${paint('36', `$ ${quoted.join(' ')}`)}`);
}

/** Text of a program, indented. */
export function answer(text: string): void {
  for (const line of text.trimEnd().split('\n')) console.log(`     ${line}`);
}

/** Result of a command. */
export interface Answer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `berth ARGS`, printed as typed, and prints its answer; with `live` it writes to the terminal itself. Throws when it fails. */
export async function showBerth(place: Throwaway, args: readonly string[], o: { live?: boolean; mayFail?: boolean } = {}): Promise<Answer> {
  typed(['berth', ...args]);
  const result = await runBerth(place, args, o.live === true);
  answer(`${result.stdout}${result.stderr}`);
  if (result.status !== 0 && o.mayFail !== true) throw new Error(`berth ${args.join(' ')} ended with ${result.status}`);
  return result;
}

/** Runs `berth ARGS -o json`-like commands without showing them. Throws when it fails or does not print JSON. */
export async function askBerth(place: Throwaway, args: readonly string[]): Promise<unknown> {
  const result = await runBerth(place, args, false);
  if (result.status !== 0) throw new Error(`berth ${args.join(' ')} ended with ${result.status}: ${result.stderr.trim()}`);
  return JSON.parse(result.stdout);
}

async function runBerth(place: Throwaway, args: readonly string[], live: boolean): Promise<Answer> {
  if (interruption !== undefined) throw interruption;
  const terminal = live && process.stdout.isTTY === true;
  const child = spawn(BERTH, args, {
    stdio: terminal ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, BERTH_SOCKET: place.socket },
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  const [code, signal] = await once(child, 'close');
  if (interruption !== undefined) throw interruption;
  if (signal !== null) throw new Error(`berth ${args[0]} was ended by ${signal}`);
  return { status: Number(code), ...output };
}
