/**
 * How the images of an archive are shown while they are loaded: one after the
 * other, each as a pull is. The daemon shows them as `PATH: NAME`.
 */
import type { operator } from '../gen/index.ts';
import type { Terminal } from './command.ts';
import { PullView } from './pull-view.ts';

export class LoadView {
  readonly #terminal: Terminal;
  readonly #prefix: string;
  readonly #sinceMs = Date.now();
  /** Images whose picture stays as it is: another one is drawn below it. */
  readonly #past = new Set<string>();
  #current: { name: string; view: PullView } | undefined;

  /** `path` as the daemon was given it. */
  constructor(terminal: Terminal, path: string) {
    this.#terminal = terminal;
    this.#prefix = `${path}: `;
  }

  /** Shows the newest state of the archive's images. */
  update(pulls: readonly operator.PullProgress[]): void {
    for (const pull of pulls) {
      if (!pull.reference.startsWith(this.#prefix)) continue;
      const name = pull.reference.slice(this.#prefix.length);
      if (!this.#past.has(name)) this.#viewOf(name).update([renamed(pull, name)]);
    }
  }

  #viewOf(name: string): PullView {
    if (this.#current?.name === name) return this.#current.view;
    if (this.#current !== undefined) this.#past.add(this.#current.name);
    const view = new PullView(this.#terminal, name, this.#sinceMs);
    this.#current = { name, view };
    return view;
  }
}

/** The same message under another name; what was unset on the wire is on its prototype. */
function renamed(pull: operator.PullProgress, reference: string): operator.PullProgress {
  return Object.assign(Object.create(Object.getPrototypeOf(pull)), pull, { reference });
}
