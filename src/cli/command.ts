/**
 * What a command is: a row of data. The parser, `--help`, docs/cli.md and the
 * tests all read the same rows; the code behind a row is loaded only when the
 * command runs, so `berth --help` loads nothing else.
 */

/** A named option of a command. */
export interface Flag {
  /** Without dashes: `namespace`. */
  readonly name: string;
  /** One letter: `n`. */
  readonly short?: string;
  /** Placeholder of its value, such as NAME; a flag without one is a switch. */
  readonly value?: string;
  /** May be given more than once. */
  readonly repeatable?: boolean;
  /** The only values allowed. */
  readonly choices?: readonly string[];
  /** What is wrong with a value, in words that follow "VALUE "; undefined when it is fine. */
  readonly check?: (value: string) => string | undefined;
  readonly summary: string;
}

/** A positional argument. */
export interface Argument {
  /** Placeholder, upper case. */
  readonly name: string;
  readonly optional?: boolean;
  /** Takes all that remain; only the last argument can. */
  readonly many?: boolean;
}

/** Code of a command; answers the exit code. */
export type Run = (invocation: Invocation) => Promise<number>;

/** One command. */
export interface Command {
  /** One word, or a family and a word: `image load`. */
  readonly name: string;
  /** Heading it stands under in the overview. */
  readonly group: 'Pods and containers' | 'Images' | 'The node';
  /** One line, without a full stop. */
  readonly summary: string;
  /** More lines for its own help. */
  readonly details?: string;
  readonly args: readonly Argument[];
  /** Placeholder of what may follow `--`; absent when nothing may. */
  readonly rest?: Argument;
  readonly flags: readonly Flag[];
  readonly examples?: readonly string[];
  /** Loads the code; absent for `serve`, which main.ts supplies. */
  readonly load?: () => Promise<{ run: Run }>;
}

/** Where a command reads from and writes to; a test gives its own. */
export interface Terminal {
  out(data: string | Uint8Array): void;
  err(data: string | Uint8Array): void;
  /** Is `err`, where progress is shown, a terminal that understands cursor movement? */
  readonly isTty: boolean;
  /** Is `out` one? */
  readonly isOutTty: boolean;
  /** Is standard input one? */
  readonly isInTty: boolean;
  /** Standard input. */
  readonly input: AsyncIterable<Uint8Array>;
  /** Resolves when the reader of `out` has taken enough to be given more. */
  drained(): Promise<void>;
  /** Size of it now. */
  readonly columns: number;
  readonly rows: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** One parsed command line. */
export interface Invocation {
  readonly command: Command;
  readonly args: readonly string[];
  /** What followed `--`. */
  readonly rest: readonly string[];
  readonly flags: FlagValues;
  readonly terminal: Terminal;
}

/** The flags given. */
export class FlagValues {
  readonly #given: ReadonlyMap<string, readonly string[]>;

  constructor(given: ReadonlyMap<string, readonly string[]>) {
    this.#given = given;
  }

  /** Was the switch given? */
  on(name: string): boolean {
    return this.#given.has(name);
  }

  /** The last value given. */
  text(name: string): string | undefined {
    return this.#given.get(name)?.at(-1);
  }

  /** Every value given. */
  all(name: string): readonly string[] {
    return this.#given.get(name) ?? [];
  }
}

/** The command line is not understood: exit code 2. */
export class UsageError extends Error {
  /** The command whose help is pointed to. */
  readonly command: string | undefined;

  constructor(message: string, command?: string) {
    super(message);
    this.name = 'UsageError';
    this.command = command;
  }
}
