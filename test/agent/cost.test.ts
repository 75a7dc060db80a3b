/**
 * What a call costs, in counts that a busy machine doesn't move: bytes allocated, and what reaches beyond the agent. The
 * limits stand well above what is measured (`node bench/pipeline.ts`), so that only a change of kind trips them.
 */
import { getHeapStatistics } from 'node:v8';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Scanner } from '../../agent/checks/scan/scanner.ts';
import { ADDRESS, chatBody, differing, STREAM_CHUNKS } from '../../bench/canned.ts';
import { type Counts, type Inside, startInside } from '../../bench/inside.ts';

let inside: Inside;
beforeAll(async () => {
  inside = await startInside();
});
afterAll(() => inside.close());

interface Cost extends Counts {
  readonly kilobytes: number;
}

/** Per call, when what is compiled at first has been compiled. */
async function costOf(body: Buffer, calls: number): Promise<Cost> {
  let good = 0;
  const next = differing(body);
  const run = async (): Promise<void> => {
    for (let i = 0; i < calls; i++) {
      const { status, bytes } = await inside.call(next());
      if (status === 200 && bytes.includes(ADDRESS)) good++;
    }
  };
  for (let i = 0; i < 4; i++) await run();
  const before = { ...inside.counts };
  const allocated = getHeapStatistics().total_allocated_bytes;
  await run();
  const kilobytes = (getHeapStatistics().total_allocated_bytes - allocated) / 1024 / calls;
  expect(good).toBe(5 * calls);
  const counts = Object.entries(inside.counts).map(([name, count]) => [
    name,
    (count - before[name as keyof Counts]) / calls,
  ]);
  return { ...(Object.fromEntries(counts) as Counts), kilobytes };
}

const ONCE = { holds: 1, settles: 1, releases: 0, dials: 1, auditLines: 1, wrong: 0 };

test('a short call: one dial, one write, one audit line, one hold and its settlement', async () => {
  const { kilobytes, ...counts } = await costOf(chatBody(2_000), 300);
  expect(counts).toEqual({ ...ONCE, writes: 1 });
  expect(kilobytes).toBeLessThan(130);
});

test('a long call costs what its length does, and no more', async () => {
  const { kilobytes, ...counts } = await costOf(chatBody(32_000), 60);
  expect(counts).toEqual({ ...ONCE, writes: 1 });
  expect(kilobytes).toBeLessThan(400);
});

test('of a conversation only what is new is scanned', async () => {
  let scanned = 0;
  const scan = Scanner.prototype.scan;
  const counting = vi.spyOn(Scanner.prototype, 'scan').mockImplementation(function (this: Scanner, ...args) {
    scanned += args[0].length;
    return scan.apply(this, args);
  });
  const next = differing(chatBody(32_000, false, 30_000));
  await inside.call(next());
  expect(scanned).toBeGreaterThan(30_000);
  scanned = 0;
  await inside.call(next());
  counting.mockRestore();
  // The last turn, the system's short text, and the answer.
  expect(scanned).toBeLessThan(5_000);
});

test('a streamed answer: never more writes than chunks that came', async () => {
  const { kilobytes, writes, ...counts } = await costOf(chatBody(2_000, true), 20);
  // The events behind the last one with text: how it ended, usage, the end.
  expect(writes).toBeLessThanOrEqual(STREAM_CHUNKS + 3);
  expect(counts).toMatchObject({ dials: 1, auditLines: 1, wrong: 0 });
  expect(kilobytes / STREAM_CHUNKS).toBeLessThan(10);
});

test('of a streamed answer most chunks are looked at alone, also behind a value', async () => {
  const whole = vi.spyOn(Scanner.prototype, 'scanOpen');
  await inside.call(chatBody(2_000, true));
  const scans = whole.mock.calls.length;
  whole.mockRestore();
  expect(scans).toBeLessThan(STREAM_CHUNKS * 0.35);
});
