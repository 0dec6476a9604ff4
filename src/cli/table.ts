/**
 * Columns as kubectl prints them: upper-case headings, left-aligned cells,
 * three spaces between, nothing after the last cell. A column is a heading
 * and a function of the row, so a table is data.
 */

/** One column of rows of type R. */
export interface Column<R> {
  readonly heading: string;
  /** The cell's text; '' is shown as "-", so that columns stay countable for awk. */
  cell(row: R): string;
  /** Shown only with -o wide. */
  readonly wide?: boolean;
}

const GAP = '   ';

/** The table's text, one line a row, each ended by a newline. `wide` adds the wide columns. */
export function formatTable<R>(columns: readonly Column<R>[], rows: readonly R[], wide = false): string {
  const shown = columns.filter((column) => wide || column.wide !== true);
  const lines = [shown.map((column) => column.heading), ...rows.map((row) => shown.map((column) => oneLine(column.cell(row)) || '-'))];
  const widths = shown.map((_, at) => Math.max(...lines.map((cells) => width(cells[at] ?? ''))));
  const text = lines.map((cells) =>
    cells.map((cell, at) => (at === cells.length - 1 ? cell : cell + ' '.repeat((widths[at] ?? 0) - width(cell)))),
  );
  return text.map((cells) => `${cells.join(GAP)}\n`).join('');
}

/** Names and values aligned in two columns. */
export function formatPairs(pairs: readonly (readonly [name: string, value: string])[]): string {
  const longest = Math.max(0, ...pairs.map(([name]) => width(name)));
  return pairs.map(([name, value]) => `${name}:${' '.repeat(longest - width(name))}  ${value}\n`).join('');
}

/** Control characters would let an image's label rewrite the terminal. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').trim();
}

function width(text: string): number {
  return [...text].length;
}
