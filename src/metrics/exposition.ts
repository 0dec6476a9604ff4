/**
 * Prometheus text of a table of families through prom-client. Each family is
 * a metric of the registry that is filled anew when it is rendered; between
 * families the event loop gets its turn, since prom-client's own metrics()
 * renders everything in one go.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Family } from './family.ts';

/** Synchronous work between two turns of the event loop. */
const SLICE_MS = 3;

/** Sets one value of a metric. */
export type Put = (labels: Record<string, string>, value: number) => void;

/** Registers a metric that `fill` gives its values at every scrape. */
export function registerFilled(
  registry: Registry,
  shape: { name: string; help: string; type: 'counter' | 'gauge'; labels: readonly string[] },
  fill: (put: Put) => void,
): void {
  const { name, help } = shape;
  const common = { name, help, labelNames: [...shape.labels], registers: [registry] };
  if (shape.type === 'gauge') {
    const gauge = new Gauge({
      ...common,
      collect: () => {
        gauge.reset();
        fill((labels, value) => gauge.set(labels, value));
      },
    });
    return;
  }
  // The kernel counts; prom-client only shows: emptied and set anew, a counter may also start over, as the kernel's does.
  const counter = new Counter({
    ...common,
    collect: () => {
      counter.reset();
      fill((labels, value) => counter.inc(labels, value));
    },
  });
}

/** Registers a table; `rows` is asked at each scrape. */
export function registerFamilies<Row extends { labels: Record<string, string> }>(
  registry: Registry,
  families: readonly Family<Row>[],
  base: { labels: readonly string[]; rows: () => readonly Row[] },
): void {
  for (const family of families) {
    registerFilled(registry, { ...family, labels: [...base.labels, ...family.labels] }, (put) => {
      for (const row of base.rows()) {
        for (const { value, labels } of family.values(row)) put(labels === undefined ? row.labels : { ...row.labels, ...labels }, value);
      }
    });
  }
}

/** Text of every family that has a value, in order of registration. */
export async function render(registry: Registry): Promise<string> {
  const parts: string[] = [];
  let sliceStartedAtMs = performance.now();
  for (const { name } of registry.getMetricsAsArray()) {
    const text = await registry.getSingleMetricAsString(name);
    if (hasValues(text)) parts.push(text);
    if (performance.now() - sliceStartedAtMs >= SLICE_MS) {
      await nextTurn();
      sliceStartedAtMs = performance.now();
    }
  }
  return parts.length === 0 ? '' : `${parts.join('\n')}\n`;
}

/** A family of two lines has only HELP and TYPE. */
const hasValues = (text: string): boolean => text.indexOf('\n', text.indexOf('\n') + 1) >= 0;
