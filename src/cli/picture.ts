/**
 * Lines on a terminal that are drawn over themselves. Never more lines than
 * the terminal has, never longer ones: what scrolled away or wrapped could
 * not be drawn over.
 */

/** Where it is drawn. */
export interface Canvas {
  readonly write: (text: string) => void;
  readonly columns: number;
  readonly rows: number;
}

export class Picture {
  #linesDrawn = 0;

  /** Draws `lines`, cut to the canvas, in the place of what was drawn before. */
  draw(lines: readonly string[], { write, columns, rows }: Canvas): void {
    const fitting = lines.slice(0, Math.max(1, rows - 1)).map((line) => line.slice(0, Math.max(1, columns - 1)));
    const up = this.#linesDrawn === 0 ? '' : `\u001b[${Math.min(this.#linesDrawn, Math.max(1, rows - 1))}A`;
    // Clearing to the end of the screen also removes lines of a taller picture before.
    write(`${up}\u001b[0J${fitting.join('\n')}\n`);
    this.#linesDrawn = fitting.length;
  }
}
