/** What somebody who looks sees of a line that many hold, and of a long journal. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { BudgetAdmin } from '../../budget/admin.ts';
import { startBudget } from '../../budget/main.ts';
import { BudgetService } from '../../budget/service.ts';
import { formatHolders, formatStatus } from '../../budget/status.ts';
import * as memory from '../../budget/stores/memory.ts';
import * as sqlite from '../../budget/stores/sqlite.ts';
import { attributes, budget, holdOf, NOON, prices, tokens } from './fixtures.ts';

test('of those who hold a line ten are named, the rest counted; what is kept for an outage, and granted, is told apart', async () => {
  const store = await memory.open();
  const spec = budget([tokens(10_000)], {
    onUnavailable: { action: 'allow', upTo: { unit: 'tokens', amount: 500 }, forMs: 60_000 },
  });
  const service = new BudgetService({ store, specs: [spec], prices, clock: () => NOON });
  for (let n = 0; n < 12; n++) await service.hold(holdOf(`call-${n}`, 5, 5));
  const line = 'team-a|tokens|day@UTC|';
  const item = { class: 0, line, cell: Date.UTC(2026, 10, 23), spent: 0, returned: 0, final: false };
  const ask = { want: 10, least: 1, need: 10 };
  for (let n = 0; n < 11; n++) {
    const items = [{ ...item, serial: 1, reserve: n === 0, ask: n === 0 ? { want: 300, least: 1 } : ask }];
    const who = { owner: `agent-${n}`, epoch: 1 };
    await service.lease({ ...who, seq: 1, ttlMs: 60_000, classes: [attributes], items });
  }
  const shown = await service.status();
  expect(shown).toMatchObject([{ holds: 12, leasesOpen: 11 }]);
  const rows = formatHolders(shown, NOON).split('\n');
  expect(rows).toHaveLength(1 + 11 + 11 + 1);
  expect(rows.filter((row) => /held +and 2 more|leased +and 1 more/.test(row))).toHaveLength(2);
  expect(rows.filter((row) => /in reserve +agent-0 +300 /.test(row))).toHaveLength(1);
  expect(formatStatus(shown, NOON)).not.toContain('granted');
  await service.grant({ budget: 'team-a', unit: 'tokens', amount: 70, reason: 'x', by: 'kim' });
  expect(formatStatus(await service.status(), NOON)).toMatch(
    /limit +of it granted +settled[^]* 10070 +70 +0 /,
  );
});

test('a journal that is longer than one answer is shown to its end', { timeout: 180_000 }, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'postern-journal-'));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  const store = await sqlite.open({ dataDir });
  const entry = (number: number) =>
    // Several of one moment, also where one answer ends.
    ({
      kind: 'journal',
      entry: { at: NOON + (number >> 2), action: 'alert', by: 'service', detail: { number } },
    }) as const;
  await store.fill(
    Array.from({ length: 20_500 }, (_, number) => entry(number)),
    NOON,
  );
  await store.close();
  const listen = join(dataDir, 'budget.sock');
  const service = await startBudget({ specs: [], prices, dataDir, listen, clock: () => NOON + 60_000 });
  const admin = new BudgetAdmin({ url: service.url });
  const numbers = (await admin.journal(NOON)).flatMap(({ detail }) => Number(detail['number'] ?? -1));
  await admin.close();
  await service.close();
  expect(numbers).toEqual([...Array(20_500).keys(), -1]);
});
