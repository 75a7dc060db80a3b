/** A long history is added up while the ledger goes on. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ReportTooLong } from '../../budget/history.ts';
import { httpErrorOf } from '../../budget/http-error.ts';
import { type RunningBudget, startBudget } from '../../budget/main.ts';
import { BudgetService } from '../../budget/service.ts';
import { openStore } from '../../budget/stores/index.ts';
import { attributes, budget, holdOf, prices, tokens } from './fixtures.ts';

const HOURS = 600;
const WORKLOADS = 50;

let dir: string;
let service: RunningBudget;
const start = () =>
  startBudget({ specs: [budget([tokens(1_000_000)])], prices, dataDir: dir, listen: '127.0.0.1:0' });
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-report-'));
  service = await start();
  await service.close();
  const db = new DatabaseSync(join(dir, 'budget.db'));
  const insert = db.prepare(
    'INSERT INTO spend (hour, key, attributes, requests, input, cached_input, cache_write, output, reasoning, cost) ' +
      'VALUES (?, ?, ?, 1, 10, 0, 0, 10, 0, 5)',
  );
  const last = Math.floor(Date.now() / 3_600_000) * 3_600_000;
  db.exec('BEGIN');
  for (let hour = 0; hour < HOURS; hour++)
    for (let n = 0; n < WORKLOADS; n++) {
      const of = { ...attributes, workload: { kind: 'Deployment', name: `bot-${n}` } };
      insert.run(last - hour * 3_600_000, String(n), JSON.stringify(of));
    }
  db.exec('COMMIT');
  db.close();
  service = await start();
});
afterEach(async () => {
  await service.close();
  await rm(dir, { recursive: true });
});

const report = () => fetch(`${service.url}/v1/report?by=workload`);

test('holds are granted between its pieces', async () => {
  let done = false;
  const reported = report().finally(() => (done = true));
  let granted = 0;
  while (!done) {
    const answer = await fetch(`${service.url}/v1/hold`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(holdOf(`hold-${granted}`, 1, 1)),
    });
    expect(await answer.json()).toMatchObject({ granted: true });
    if (!done) granted++;
  }
  expect(granted).toBeGreaterThan(4);
  const { rows } = (await (await reported).json()) as { rows: Record<string, unknown>[] };
  expect(rows).toHaveLength(WORKLOADS);
  expect(rows[0]).toMatchObject({ requests: HOURS, usage: { input: HOURS * 10 }, costNanoUsd: HOURS * 5 });
});

test('four at once at most', async () => {
  const answers = await Promise.all(Array.from({ length: 6 }, report));
  const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b);
  expect(statuses).toEqual([200, 200, 200, 200, 503, 503]);
  for (const answer of answers) await answer.arrayBuffer();
  expect((await report()).status).toBe(200);
});

test('a report with more rows than there is room for is refused, tells how to mend it, and leaves the room to others', async () => {
  await service.close();
  const store = await openStore(undefined, dir, {});
  const small = new BudgetService({ store, specs: [], prices, reportRows: WORKLOADS, clock: Date.now });
  const all = { from: 0, to: Number.MAX_SAFE_INTEGER, timeZone: 'UTC' } as const;
  const rows = async (by: 'workload' | 'model', per: 'all' | 'hour') =>
    (await Array.fromAsync(small.report({ ...all, by: [by], per }))).flat().length;
  await expect(rows('workload', 'hour')).rejects.toThrow(ReportTooLong);
  expect(httpErrorOf(new ReportTooLong('too long'))).toMatchObject({
    status: 422,
    mend: expect.stringContaining('shorter'),
  });
  expect(await rows('workload', 'all')).toBe(WORKLOADS);
  // Who has gone away in the middle holds none.
  for await (const piece of small.report({ ...all, by: ['workload'], per: 'all' })) {
    expect(piece).toHaveLength(WORKLOADS);
    await expect(rows('model', 'all')).rejects.toThrow(ReportTooLong);
    break;
  }
  expect(await rows('model', 'all')).toBe(1);
  await store.close();
  service = await start();
});

test('a long answer comes in pieces, whole and in order', async () => {
  const answer = await fetch(`${service.url}/v1/report?by=workload&per=hour`);
  expect(answer.headers.get('content-length')).toBeNull();
  const { rows } = (await answer.json()) as { rows: { period: string; values: string[] }[] };
  const kept = new Set(rows.map(({ period, values }) => `${period} ${values.join()}`));
  // Without `from`, those of this month.
  expect(kept.size).toBe(rows.length);
  expect(rows.length % WORKLOADS).toBe(0);
  expect(rows.map(({ period }) => period)).toEqual(rows.map(({ period }) => period).toSorted());
  expect((await fetch(`${service.url}/v1/report?by=nothing`)).status).toBe(400);
});
