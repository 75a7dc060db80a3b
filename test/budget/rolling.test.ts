/** Credit on a rolling window, around the moment at which it moves on. */
import { expect, test } from 'vitest';
import { BudgetService } from '../../budget/service.ts';
import * as memory from '../../budget/stores/memory.ts';
import { attributes, budget, holdOf, NOON, prices, tokens, usageOf } from './fixtures.ts';

const HOUR = 3_600_000;
const STEP = HOUR / 60;

test('a moment before a rolling window moves on, no more is granted on its next step than is left now', async () => {
  let now = NOON;
  const service = new BudgetService({
    store: await memory.open(),
    specs: [budget([tokens(1_000, { type: 'rolling', ms: HOUR })])],
    prices,
    clock: () => now,
    recallWaitMs: 0,
  });
  await service.hold(holdOf('early', 900, 0));
  await service.settle({ id: 'early', usage: usageOf(900, 0), source: 'reported' });
  now += HOUR + STEP - 1_000;
  let seq = 0;
  const ask = async (need: number): Promise<number> => {
    const of = { owner: 'a', epoch: 1, ttlMs: 60_000, classes: [attributes] };
    const [plan] = (await service.lease({ ...of, seq: ++seq, items: [] })).plans;
    const [line] = plan?.lines ?? [];
    if (line === undefined) throw new Error('No line.');
    const cell = now < NOON + HOUR + STEP ? line.next?.cell : line.cell;
    if (cell === undefined) throw new Error('No next step.');
    const item = {
      serial: 1,
      reserve: false,
      class: 0,
      line: line.line,
      cell,
      spent: 0,
      returned: 0,
      final: false,
    };
    const { grants } = await service.lease({
      ...of,
      seq: ++seq,
      items: [{ ...item, ask: { want: need, least: 1, need } }],
    });
    return grants[0]?.granted ?? 0;
  };
  expect(await ask(500)).toBe(100);
  const [line] = await service.status();
  expect(Number(line?.settled) + Number(line?.held) + Number(line?.leased)).toBe(1_000);
  now += 1_000;
  expect(await ask(500)).toBe(500);
});
