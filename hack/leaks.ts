// The leak check of hack/test: `node hack/leaks.ts snapshot FILE` before a run, `compare FILE` after it.
// Links and killed processes vanish a moment after their owner, so a difference counts only when it stays.
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { machineState, newSince } from './lib/machine.ts';

const SETTLE_MS = 10_000;

const [mode, file] = process.argv.slice(2);
if (file === undefined || (mode !== 'snapshot' && mode !== 'compare')) {
  console.error('usage: node hack/leaks.ts snapshot|compare FILE');
  process.exit(2);
}
if (mode === 'snapshot') {
  writeFileSync(file, JSON.stringify(machineState()));
} else {
  const before: string[] = JSON.parse(readFileSync(file, 'utf8'));
  const deadline = Date.now() + SETTLE_MS;
  let left = newSince(before);
  while (left.length > 0 && Date.now() < deadline) {
    await delay(250);
    left = newSince(before);
  }
  for (const line of left) console.log(`left behind: ${line}`);
  console.log(left.length === 0 ? 'leak check: the machine is as before' : `leak check: ${left.length} left behind`);
  process.exitCode = left.length === 0 ? 0 : 1;
}
