/**
 * What a metric family is: one row of a table. Exposition, CRI metrics and
 * docs/metrics.md derive from the tables, so a name, its unit and its meaning
 * stand in one place only.
 */

/** One value with the labels that tell it from others of the same row. */
export interface Value {
  value: number;
  labels?: Readonly<Record<string, string>>;
}

/** A family whose values are worked out from one source row at scrape time. */
export interface Family<Row> {
  /** Prometheus name, base units, counters ending in _total (cAdvisor's own exceptions aside). */
  name: string;
  /** One sentence without a full stop. */
  help: string;
  type: 'counter' | 'gauge';
  /** Labels beyond those every family of the table has. */
  labels: readonly string[];
  /** Values of one row; none when the row has no such figure. */
  values(row: Row): readonly Value[];
}

/** A family that is counted as things happen. */
export interface CountedFamily {
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram';
  labels: readonly string[];
  /** Upper bounds of a histogram, in the unit of the name. */
  buckets?: readonly number[];
}

/** The figures docs/metrics.md is generated from. */
export interface FamilyDoc {
  endpoint: '/metrics' | '/metrics/cadvisor';
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram';
  /** Every label, in order. */
  labels: readonly string[];
}

const NS_PER_SECOND = 1e9;

/** Seconds of a ns count, as a float. */
export const seconds = (ns: bigint): number => Number(ns) / NS_PER_SECOND;

/** A single value, or none when it is not known. */
export const one = (value: bigint | number | undefined): readonly Value[] => (value === undefined ? [] : [{ value: Number(value) }]);
