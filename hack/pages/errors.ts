// docs/errors.md from the reasons table of src/errors.
import { REASONS } from '../../src/errors/index.ts';
import { code, markdownTable, pageHead } from './markdown.ts';

/** The page. */
export function errorsPage(): string {
  const lines = pageHead('Errors', 'src/errors/reasons.ts', [
    'Every failure has a stable reason. It is printed by the command line, written to the log, and sent with each failed CRI call in the trailing metadata `berth-reason`. The message beside it says what was tried, on which object, and what came back; scripts and alerts should match the reason, never the message.',
  ]);
  const rows = Object.entries(REASONS).map(([reason, { meaning, action }]) => [
    code(reason),
    meaning,
    `${action.charAt(0).toUpperCase()}${action.slice(1)}.`,
  ]);
  return [...lines, ...markdownTable(['Reason', 'Meaning', 'What to do'], rows)].join('\n');
}
