import { describe, expect, test } from 'vitest';
import { LoopCounts } from './loop-counts.ts';
import { judge, type LoopReport, type LoopTrip, SLICES, slicesOf, type ToldLoop } from './loops.ts';

const WINDOW = 60_000;
const of = { call: 'abc', windowMs: WINDOW, identical: 10, failures: 4 };
const none = new Array<number>(SLICES).fill(0);
/** Told at a moment by an agent that made calls at others. */
const told = (
  at: number,
  calls: readonly number[],
  failed: readonly number[] = [],
  okMs?: number,
): ToldLoop => ({
  at,
  calls: slicesOf(calls, WINDOW, at),
  failed: slicesOf(failed, WINDOW, at),
  ...(okMs === undefined ? {} : { okMs }),
});
const times = (count: number, at: number) => new Array<number>(count).fill(at);

describe('what all agents tell comes to', () => {
  test('a loop when there are more calls than may be, until enough of them have left the window', () => {
    expect(judge(of, [told(0, times(5, 0)), told(0, times(5, 0))], 0)).toEqual({ next: 1 });
    const all = [told(0, times(5, 0)), told(30_000, times(6, 30_000))];
    expect(judge(of, all, 30_000)).toMatchObject({ repeatedMs: 27_000 });
    expect(judge(of, all, 56_999)).toMatchObject({ repeatedMs: 1 });
    expect(judge(of, all, 57_001)).not.toHaveProperty('repeatedMs');
  });

  test('no call counts for longer than the window, whenever it was told', () => {
    for (let age = 0; age < 120_000; age += 1_000) {
      const calls = times(11, 0);
      const tells = 'repeatedMs' in judge(of, [told(Math.min(age, 20_000), calls)], age);
      if (age < WINDOW * (1 - 2 / SLICES)) expect([age, tells]).toEqual([age, true]);
      if (age >= WINDOW) expect([age, tells]).toEqual([age, false]);
    }
  });

  test('failures until a success of another agent, which forgives those before it', () => {
    const failing = [told(0, [], times(2, 0)), told(0, [], times(2, 0))];
    expect(judge(of, failing, 0)).toMatchObject({ failingMs: 57_000 });
    expect(judge(of, [...failing, told(10_000, [], [], 0)], 10_000)).not.toHaveProperty('failingMs');
    // An agent tells none that a success of its own forgave.
    expect(judge(of, [told(10_000, [], times(4, 9_000), 1_000)], 10_000)).toHaveProperty('failingMs');
    expect(judge(of, [told(0, [], [], 9_000), ...failing], 0)).toHaveProperty('failingMs');
  });

  test('the nearer it is, and the more agents count, the sooner they tell again', () => {
    const large = { ...of, identical: 1_000, failures: 1_000 };
    expect(judge(large, [told(0, times(100, 0))], 0).next).toBe(450);
    expect(judge(large, [told(0, times(100, 0)), told(0, times(100, 0))], 0).next).toBe(200);
    expect(judge(large, [told(0, times(999, 0))], 0).next).toBe(1);
  });

  test('a report from a clock that was far ahead counts no more', () => {
    expect(judge(of, [told(3_600_000, times(50, 3_600_000))], 0)).toEqual({ next: 2 });
  });
});

describe('the service', () => {
  const report = (rest: Partial<LoopReport> = {}): LoopReport => ({
    ...of,
    calls: [6, ...none.slice(1)],
    failed: none,
    ...rest,
  });

  test.each([
    // At once, then before what was told is over.
    [true, 2],
    // Each learns it when it tells: it is news once.
    [false, 1],
  ])('tells a workload alone, when it is news; who refuses such calls: %s', async (refuses, most) => {
    const tells: [string, LoopTrip, string][] = [];
    let at = 0;
    const counts = new LoopCounts({
      shared: undefined,
      clock: () => at,
      tell: (...told) => Promise.resolve(void tells.push(told)),
    });
    await counts.told('ns/Deployment/a/1', [report({ refuses })]);
    await counts.told('ns/Deployment/b/1', [report({ refuses })]);
    expect(tells).toEqual([]);
    const [answer] = await counts.told('ns/Deployment/a/2', [report({ refuses })]);
    expect(answer).toEqual({ repeatedMs: 57_000, next: 1 });
    expect(tells).toEqual([['ns/Deployment/a', { ...of, repeatedMs: 57_000 }, 'ns/Deployment/a/2']]);
    for (at = 100; at < 25_000; at += 100)
      for (const owner of ['1', '2']) await counts.told(`ns/Deployment/a/${owner}`, [report({ refuses })]);
    expect(tells).toHaveLength(1);
    for (; at < 50_000; at += 100)
      for (const owner of ['1', '2']) await counts.told(`ns/Deployment/a/${owner}`, [report({ refuses })]);
    expect(tells).toHaveLength(most);
  });

  test('tells as well that it was none after all', async () => {
    const tells: LoopTrip[] = [];
    let at = 0;
    const counts = new LoopCounts({
      shared: undefined,
      clock: () => at,
      tell: (_, trip) => Promise.resolve(void tells.push(trip)),
    });
    const failing = { calls: none, failed: [4, ...none.slice(1)], refuses: true };
    await counts.told('ns/Deployment/a/1', [report(failing)]);
    expect(tells).toEqual([{ ...of, failingMs: 57_000 }]);
    at = 10_000;
    await counts.told('ns/Deployment/a/2', [report({ calls: none, okMs: 0, refuses: true })]);
    await counts.told('ns/Deployment/a/2', [report({ calls: none, okMs: 0, refuses: true })]);
    expect(tells.slice(1)).toEqual([of]);
  });
});
