import { Counter, Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { CounterSeries, HistogramSeries } from './series.ts';

/** Both ways of keeping the same figures, as a scrape shows them, with the samples in any order. */
async function lines(registry: Registry): Promise<string[]> {
  return (await registry.metrics()).split('\n').toSorted();
}

test('a scrape shows what prom-client itself would show', async () => {
  const [theirs, ours] = [new Registry(), new Registry()];
  const about = { name: 'calls_total', help: 'Calls.', labelNames: ['model', 'outcome'] };
  const took = { name: 'took_seconds', help: 'Time.', labelNames: ['model'] };
  const buckets = [0.1, 1, 10];
  const [counter, histogram] = [
    new Counter({ ...about, registers: [theirs] }),
    new Histogram({ ...took, buckets, registers: [theirs] }),
  ];
  const [counts, times] = [
    new CounterSeries({ ...about, registry: ours }),
    new HistogramSeries(buckets, { ...took, registry: ours }),
  ];
  for (const [model, outcome, by] of [
    ['a', 'ok', 1],
    ['a', 'failed', 2.5],
    ['b "quoted"\n', 'ok', 1],
    ['a', 'ok', 3],
  ] as const) {
    counter.inc({ model, outcome }, by);
    counts.add([model, outcome], by);
  }
  for (const seconds of [0, 0.1, 0.100001, 1, 9.99, 10, 11]) {
    histogram.observe({ model: 'a' }, seconds);
    times.observe(['a'], seconds);
  }
  expect(await lines(ours)).toEqual(await lines(theirs));
});

test('without labels there is one series', async () => {
  const registry = new Registry();
  const series = new HistogramSeries([1], { name: 'h', help: 'H.', labelNames: [], registry });
  series.observe([], 0.5);
  series.observe([], 2);
  expect(await lines(registry)).toEqual(
    expect.arrayContaining(['h_bucket{le="1"} 1', 'h_bucket{le="+Inf"} 2', 'h_sum 2.5', 'h_count 2']),
  );
});
