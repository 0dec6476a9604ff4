/**
 * Commands that take many objects do them one after the other, name each that
 * is done, go on after a failure, and fail in the end if any failed.
 */
import type { Terminal } from './command.ts';
import { describeFailure, EXIT_FAILURE } from './failure.ts';

/** Does `work` for every word, printing the word when it is done; answers the exit code. */
export async function eachWord(words: readonly string[], terminal: Terminal, work: (word: string) => Promise<void>): Promise<number> {
  let exitCode = 0;
  for (const word of words) {
    try {
      await work(word);
      terminal.out(`${word}\n`);
    } catch (error) {
      terminal.err(describeFailure(error).text);
      exitCode = EXIT_FAILURE;
    }
  }
  return exitCode;
}
