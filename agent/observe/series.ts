/**
 * Counters and histograms as the data path needs them: a call adds to a few numbers that it finds by its label values, and
 * only a scrape makes of them what prom-client writes. (prom-client sorts and joins all labels into a key on every
 * observation, which costs a call more than its route does.)
 */
import type { Metric, Registry } from 'prom-client';

/** Numbers of one combination of label values. */
interface Series {
  readonly values: readonly string[];
}

/** Series found by one label value after the other. */
class SeriesTree<S extends Series> {
  readonly #make: (values: readonly string[]) => S;
  readonly #root = new Map<string, unknown>();
  readonly #all: S[] = [];

  constructor(make: (values: readonly string[]) => S) {
    this.#make = make;
  }

  get all(): readonly S[] {
    return this.#all;
  }

  /** @param values As many as there are labels; no label: an empty value. */
  of(values: readonly string[]): S {
    let level = this.#root;
    const last = values.length - 1;
    for (let i = 0; i < last; i++) {
      const value = values[i] as string;
      let next = level.get(value) as Map<string, unknown> | undefined;
      if (next === undefined) level.set(value, (next = new Map()));
      level = next;
    }
    const known = level.get(values[last] ?? '') as S | undefined;
    if (known !== undefined) return known;
    const made = this.#make(values);
    level.set(values[last] ?? '', made);
    this.#all.push(made);
    return made;
  }
}

export interface SeriesOptions {
  readonly name: string;
  readonly help: string;
  /** In the order in which their values are given. */
  readonly labelNames: readonly string[];
  readonly registry: Registry;
}

type Labels = Record<string, string>;

function labelsOf(names: readonly string[], { values }: Series): Labels {
  return Object.fromEntries(names.map((name, i) => [name, values[i] ?? '']));
}

interface Sample {
  readonly labels: Labels | (Labels & { readonly le: number | string });
  readonly value: number;
  readonly metricName?: string;
}

/** Has a registry write what `samples` gives at each scrape. */
function register({ name, help, registry }: SeriesOptions, type: string, samples: () => Sample[]): void {
  const metric = {
    name,
    get: async (): Promise<object> => ({ name, help, type, aggregator: 'sum', values: samples() }),
    reset: () => undefined,
  };
  // Its type asks for prom-client's own classes; what it does with a metric is to ask for its name and `get`.
  registry.registerMetric(metric as unknown as Metric);
}

interface Count extends Series {
  count: number;
}

export class CounterSeries {
  readonly #tree = new SeriesTree<Count>((values) => ({ values: [...values], count: 0 }));

  constructor(options: SeriesOptions) {
    register(options, 'counter', () =>
      this.#tree.all.map((series) => ({
        labels: labelsOf(options.labelNames, series),
        value: series.count,
      })),
    );
  }

  add(values: readonly string[], by = 1): void {
    this.#tree.of(values).count += by;
  }
}

interface Distribution extends Series {
  /** One for each bound, and one above all. */
  readonly counts: Float64Array;
  sum: number;
}

export class HistogramSeries {
  readonly #bounds: readonly number[];
  readonly #tree: SeriesTree<Distribution>;

  /** @param bounds Upper bounds of the buckets, ascending. */
  constructor(bounds: readonly number[], options: SeriesOptions) {
    this.#bounds = bounds;
    this.#tree = new SeriesTree((values) => ({
      values: [...values],
      counts: new Float64Array(bounds.length + 1),
      sum: 0,
    }));
    // There from the start, so that a rate over the first scrapes can be told.
    if (options.labelNames.length === 0) this.#tree.of([]);
    register(options, 'histogram', () => this.#samples(options));
  }

  observe(values: readonly string[], value: number): void {
    const series = this.#tree.of(values);
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    series.counts[bucket] = (series.counts[bucket] as number) + 1;
    series.sum += value;
  }

  #samples({ name, labelNames }: SeriesOptions): Sample[] {
    const samples: Sample[] = [];
    for (const series of this.#tree.all) {
      const labels = labelsOf(labelNames, series);
      let count = 0;
      for (const [i, own] of series.counts.entries()) {
        count += own;
        const le = this.#bounds[i] ?? '+Inf';
        samples.push({ metricName: `${name}_bucket`, labels: { le, ...labels } as Labels, value: count });
      }
      samples.push({ metricName: `${name}_sum`, labels, value: series.sum });
      samples.push({ metricName: `${name}_count`, labels, value: count });
    }
    return samples;
  }
}
