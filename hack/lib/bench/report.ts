// One measured figure, the table that people read and the array that goes into a file.
export interface Figure {
  readonly scenario: string;
  readonly metric: string;
  readonly unit: 'ms' | 's' | 'MiB';
  readonly berth: number;
  readonly peers: Readonly<Record<string, number>>;
  /** berth / the first peer: below 1 is better; null when one of them was not measured. */
  readonly ratio: number | null;
  /** What is wanted, in words such as '<= 90 MiB' or 'ratio <= 0.5'; '' where nothing is. */
  readonly goal: string;
  /** Undefined without a goal, and where what the goal is about was not measured. */
  readonly met: boolean | undefined;
}

/** What is wanted of a figure, if anything: of berth's own value, in the figure's unit, or of the ratio to the first peer. */
export interface Goal {
  readonly atMost?: number | undefined;
  readonly ratioAtMost?: number | undefined;
}

/** What a figure is about. */
export type Subject = Pick<Figure, 'scenario' | 'metric' | 'unit'> & Goal;

/** Makes a figure. */
export function figure({ atMost, ratioAtMost, ...measured }: Subject & Pick<Figure, 'berth' | 'peers'>): Figure {
  const [peer] = Object.values(measured.peers);
  const ratio = peer === undefined || peer === 0 || Number.isNaN(measured.berth) ? null : measured.berth / peer;
  const goals = [
    { words: `<= ${atMost} ${measured.unit}`, value: measured.berth, limit: atMost },
    { words: `ratio <= ${ratioAtMost}`, value: ratio, limit: ratioAtMost },
  ].flatMap(({ words, value, limit }) => (limit === undefined ? [] : [{ words, met: metBy(value, limit) }]));
  return {
    ...measured,
    ratio,
    goal: goals.map(({ words }) => words).join(', '),
    met: goals.length === 0 || goals.some(({ met }) => met === undefined) ? undefined : goals.every(({ met }) => met),
  };
}

/** Undefined when there is nothing to judge: berth or its peer was not measured. */
const metBy = (value: number | null, limit: number): boolean | undefined =>
  value === null || Number.isNaN(value) ? undefined : value <= limit;

/** A figure of each peer's value: berth's and the others'. */
export function compared(subject: Subject, values: readonly (readonly [peer: string, value: number])[]): Figure {
  const { berth = Number.NaN, ...peers } = Object.fromEntries(values);
  return figure({ ...subject, berth, peers });
}

/** The p-th percentile (0..1) by the nearest rank. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? Number.NaN;
}

const HEADINGS = ['SCENARIO', 'METRIC', 'BERTH', 'CONTAINERD', 'RATIO', 'GOAL'];

export function table(figures: readonly Figure[]): string {
  const rows = figures.map((each) => [
    each.scenario,
    each.metric,
    amount(each.berth, each.unit),
    amount(each.peers.containerd, each.unit),
    each.ratio?.toFixed(2) ?? '-',
    verdict(each),
  ]);
  const widths = HEADINGS.map((heading, at) => Math.max(heading.length, ...rows.map((row) => row[at]?.length ?? 0)));
  return [HEADINGS, ...rows]
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function verdict({ goal, met }: Figure): string {
  if (met === undefined) return goal;
  return `${goal} ${met ? 'met' : 'MISSED'}`;
}

function amount(value: number | undefined, unit: string): string {
  return value === undefined || Number.isNaN(value) ? '-' : `${value.toFixed(value < 10 ? 2 : 1)} ${unit}`;
}
