/**
 * Parsers of the few formats cgroup files come in (cgroup-v2.rst "Format"):
 * pure functions over text, no I/O. They never throw: a field that is missing
 * or malformed is undefined, and the caller decides what its absence means.
 */
import type { Pressure } from './types.ts';

const NS_PER_US = 1000n;
const DIGITS = /^\d+$/;

/** An unsigned integer, or undefined. */
export function integer(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  const trimmed = text.trim();
  return DIGITS.test(trimmed) ? BigInt(trimmed) : undefined;
}

/** One field of a flat keyed file (`KEY VALUE` lines): memory.stat, cpu.stat, memory.events. */
export function field(text: string | undefined, key: string): bigint | undefined {
  if (text === undefined) return undefined;
  const at = text.startsWith(`${key} `) ? 0 : text.indexOf(`\n${key} `) + 1;
  if (at === 0 && !text.startsWith(`${key} `)) return undefined;
  const end = text.indexOf('\n', at);
  return integer(text.slice(at + key.length + 1, end < 0 ? undefined : end));
}

/** A nested keyed file (`NAME K=V K=V` lines) as rows: io.stat. */
export function nested(text: string | undefined): { name: string; values: Record<string, string> }[] {
  if (text === undefined) return [];
  const rows: { name: string; values: Record<string, string> }[] = [];
  for (const line of text.split('\n')) {
    const [name, ...pairs] = line.split(' ');
    if (name === undefined || name === '') continue;
    const values: Record<string, string> = {};
    for (const pair of pairs) {
      const at = pair.indexOf('=');
      if (at > 0) values[pair.slice(0, at)] = pair.slice(at + 1);
    }
    rows.push({ name, values });
  }
  return rows;
}

type PressureLine = Pressure['some'];

function pressureLine(values: Record<string, string>): PressureLine | undefined {
  const totalUs = integer(values.total);
  const [avg10, avg60, avg300] = [Number(values.avg10), Number(values.avg60), Number(values.avg300)];
  if (totalUs === undefined || [avg10, avg60, avg300].some(Number.isNaN)) return undefined;
  return { totalNs: totalUs * NS_PER_US, avg10, avg60, avg300 };
}

/** A *.pressure file, totals turned from microseconds to ns; undefined when absent or switched off. */
export function pressure(text: string | undefined): Pressure | undefined {
  const lines = new Map(nested(text).map((row) => [row.name, pressureLine(row.values)]));
  const some = lines.get('some');
  if (some === undefined) return undefined;
  // Before kernel 5.13 cpu.pressure has no `full` line: nothing could stall everyone.
  const full = lines.get('full') ?? { totalNs: 0n, avg10: 0, avg60: 0, avg300: 0 };
  return { some, full };
}

/** Number of processes in a cgroup.procs text, one pid a line. */
export function countLines(text: string): bigint {
  let lines = 0n;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines += 1n;
  return lines;
}

/** Pids of a cgroup.procs text; 0 stands for a process of a pid namespace we cannot see and is left out. */
export function pidList(text: string): number[] {
  return text
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0);
}
