// One measured figure, the table that people read and the array that goes into a file.
export interface Figure {
  readonly scenario: string;
  readonly metric: string;
  readonly unit: 'ms' | 'MiB';
  readonly berth: number;
  readonly peers: Readonly<Record<string, number>>;
  /** berth / the first peer: below 1 is better; null without a peer. */
  readonly ratio: number | null;
  /** What is wanted, as a sentence such as '<= 90 MiB'; '' where nothing is. */
  readonly goal: string;
  readonly met: boolean | undefined;
}

/** Makes a figure; `atMost` is the goal for berth's own value, in the figure's unit. */
export function figure(o: Pick<Figure, 'scenario' | 'metric' | 'unit' | 'berth' | 'peers'> & { atMost?: number }): Figure {
  const { atMost, ...measured } = o;
  const [peer] = Object.values(o.peers);
  return {
    ...measured,
    ratio: peer === undefined || peer === 0 ? null : o.berth / peer,
    goal: atMost === undefined ? '' : `<= ${atMost} ${o.unit}`,
    met: atMost === undefined ? undefined : o.berth <= atMost,
  };
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
    each.goal === '' ? '' : `${each.goal} ${each.met ? 'met' : 'MISSED'}`,
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

function amount(value: number | undefined, unit: string): string {
  return value === undefined ? '-' : `${value.toFixed(value < 10 ? 2 : 1)} ${unit}`;
}
