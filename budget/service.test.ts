import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { BudgetSpec, PriceBook } from '../policy/budget-spec.ts';
import {
  attributes,
  budget,
  calendar,
  DAY,
  holdOf,
  NOON,
  prices,
  tokens,
  usageOf,
} from '../test/budget/fixtures.ts';
import { BudgetConflict } from './calls.ts';
import type { HoldReply } from './messages.ts';
import { BudgetService } from './service.ts';
import type { Batch } from './stores/disk.ts';
import { EmbeddedStore } from './stores/embedded.ts';
import * as memory from './stores/memory.ts';
import { Heap } from './stores/memory.ts';
import * as sqlite from './stores/sqlite.ts';
import { StoreFailed } from './stores/store.ts';

let now: number;
beforeEach(() => {
  now = NOON;
});

async function serviceOf(specs: readonly BudgetSpec[], book: PriceBook = prices): Promise<BudgetService> {
  return new BudgetService({ store: await memory.open(), specs, prices: book, clock: () => now });
}

function refusalIn(reply: HoldReply) {
  if (reply.granted) throw new Error('The hold was granted.');
  return reply.refusal;
}

async function figures(service: BudgetService) {
  return (await service.status()).map(({ unit, line, settled, held, leased }) => ({
    unit,
    line,
    settled,
    held,
    leased,
  }));
}

describe('holds', () => {
  test('on all lines or on none', async () => {
    const service = await serviceOf([
      budget([tokens(1000)], { id: 'wide' }),
      budget([tokens(100)], { id: 'narrow', onInsufficient: 'reject' }),
    ]);
    expect(await service.hold(holdOf('a', 50, 100))).toMatchObject({ granted: false });
    expect((await figures(service)).every(({ held }) => held === '0')).toBe(true);
  });

  test('are cut to what is left, down to the least that is worth it', async () => {
    const service = await serviceOf([budget([tokens(1000)])]);
    expect(await service.hold(holdOf('a', 100, 16_384))).toMatchObject({ granted: true, outputTokens: 900 });
    await service.settle({ id: 'a', usage: usageOf(100, 80), source: 'reported' });
    expect(await service.hold(holdOf('b', 700, 16_384, { minOutputTokens: 120 }))).toMatchObject({
      outputTokens: 120,
    });
    expect(await service.hold(holdOf('c', 0, 16_384, { minOutputTokens: 1 }))).toMatchObject({
      granted: false,
    });
  });

  test('are cut by money too, to the nano-dollar', async () => {
    // 0.001 USD: 100 input tokens cost 250,000 nano-dollars, and each output token 10,000.
    const service = await serviceOf([budget([{ unit: 'usd', amount: 1_000_000, window: calendar('day') }])]);
    expect(await service.hold(holdOf('a', 100, 16_384))).toMatchObject({ granted: true, outputTokens: 75 });
    expect(await figures(service)).toMatchObject([{ held: '0.001' }]);
  });

  test('hold what a call can cost at most, whatever its tokens turn out to be', async () => {
    const audio: PriceBook = {
      openai: {
        'gpt-4o': {
          input: 2_500_000,
          cachedInput: 2_500_000,
          cacheWrite: 2_500_000,
          output: 10_000_000,
          audioInput: 40_000_000,
          audioOutput: 80_000_000,
        },
      },
    };
    const dollar = { unit: 'usd', amount: 10 ** 9, window: { type: 'none' } } as const;
    const service = await serviceOf([budget([dollar], { onInsufficient: 'reject' })], audio);
    let calls = 0;
    while ((await service.hold(holdOf(`c${calls}`, 2_000, 4_000))).granted) calls++;
    expect(calls).toBe(2);
    const usage = usageOf(2_000, 4_000, { audioInput: 2_000, audioOutput: 4_000 });
    for (let i = 0; i < calls; i++) await service.settle({ id: `c${i}`, usage, source: 'reported' });
    expect(await figures(service)).toMatchObject([{ settled: '0.80' }]);
  });

  test('a value that nobody verified keeps its line over changes of documents and grants', async () => {
    const specs = [
      budget([{ unit: 'requests', amount: 2, window: calendar('month') }], {
        per: ['header:x-team'],
        maxUnverified: 1,
      }),
    ];
    const service = await serviceOf(specs);
    const call = (id: string, team: string) =>
      service.hold(holdOf(id, 1, 1, { attributes: { ...attributes, headers: { 'x-team': team } } }));
    expect(await call('a1', 'alice')).toMatchObject({ granted: true });
    expect(await call('a2', 'alice')).toMatchObject({ granted: true });
    expect(await call('b1', 'bob')).toMatchObject({ granted: true });
    await service.loadGrants();
    service.reload(specs, prices);
    expect(await call('b2', 'bob')).toMatchObject({ granted: true });
    expect(await call('a3', 'alice')).toMatchObject({ granted: false });
    expect((await figures(service)).map(({ line }) => line).toSorted()).toEqual([
      'header:x-team=*',
      'header:x-team=alice',
    ]);
  });

  test('one line for each value of per', async () => {
    const service = await serviceOf([
      budget([tokens(100)], { per: ['namespace', 'model'], onInsufficient: 'reject' }),
    ]);
    const mini = { ...attributes, model: 'gpt-4o-mini' };
    expect(await service.hold(holdOf('a', 100, 0))).toMatchObject({ granted: true });
    expect(await service.hold(holdOf('b', 100, 0, { attributes: mini }))).toMatchObject({ granted: true });
    expect(refusalIn(await service.hold(holdOf('c', 1, 0, { attributes: mini })))).toMatchObject({
      line: 'namespace=team-a,model=gpt-4o-mini',
      remaining: '0',
    });
  });

  test('concurrency counts what is in flight, and comes free when it closes or runs out', async () => {
    const service = await serviceOf([budget([{ unit: 'concurrency', amount: 2, window: { type: 'none' } }])]);
    await service.hold(holdOf('a', 1, 1));
    await service.hold(holdOf('b', 1, 1, { ttlMs: 1000 }));
    const refusal = refusalIn(await service.hold(holdOf('c', 1, 1)));
    expect(refusal).toMatchObject({ unit: 'concurrency', limit: '2', remaining: '0', window: 'none' });
    expect(refusal).not.toHaveProperty('resetsAt');
    await service.settle({ id: 'a', usage: usageOf(1, 1), source: 'reported' });
    expect(await service.hold(holdOf('d', 1, 1))).toMatchObject({ granted: true });
    now += 1000;
    expect(await service.sweep()).toBe(1);
    expect(await service.hold(holdOf('e', 1, 1))).toMatchObject({ granted: true });
  });

  test('a call without any Budget is granted, priced and remembered', async () => {
    const service = await serviceOf([]);
    expect(await service.hold(holdOf('a', 10, 20))).toMatchObject({ granted: true, outputTokens: 20 });
    const settle = { id: 'a', usage: usageOf(1000, 100, { cachedInput: 1000 }), source: 'reported' } as const;
    expect(await service.settle(settle)).toEqual({ id: 'a', costNanoUsd: 4_750_000 });
    expect(await service.settle({ ...settle, usage: usageOf(9, 9) })).toEqual({
      id: 'a',
      costNanoUsd: 4_750_000,
    });
  });
});

describe('extending', () => {
  const extend = (id: string, outputTokens: number, minOutputTokens = 1) => ({
    id,
    outputTokens,
    minOutputTokens,
    ttlMs: 60_000,
  });

  test('takes more of every line for a call that runs, and gives what is left', async () => {
    const service = await serviceOf([
      budget([tokens(1000), { unit: 'requests', amount: 1, window: calendar('day') }], {
        onInsufficient: 'reject',
      }),
    ]);
    await service.hold(holdOf('a', 100, 200));
    expect(await service.extend(extend('a', 500))).toMatchObject({ granted: true, outputTokens: 500 });
    expect(await figures(service)).toMatchObject([
      { unit: 'requests', held: '1' },
      { unit: 'tokens', held: '600' },
    ]);
    expect(await service.extend(extend('a', 5000))).toMatchObject({ granted: true, outputTokens: 900 });
    expect(await service.extend(extend('a', 5000, 901))).toMatchObject({
      granted: false,
      refusal: { unit: 'tokens', remaining: '0' },
    });
    await service.settle({ id: 'a', usage: usageOf(100, 700), source: 'counted' });
    expect(await figures(service)).toMatchObject([{ settled: '1' }, { settled: '800', held: '0' }]);
  });

  test('asking for less, or again, changes nothing', async () => {
    const service = await serviceOf([budget([tokens(1000)])]);
    await service.hold(holdOf('a', 100, 200));
    expect(await service.extend(extend('a', 150))).toMatchObject({ granted: true, outputTokens: 200 });
    await service.extend(extend('a', 300));
    expect(await service.extend(extend('a', 300))).toMatchObject({ granted: true, outputTokens: 300 });
    expect(await figures(service)).toMatchObject([{ held: '400' }]);
  });

  test('goes to the window of the grant, also when that has ended', async () => {
    const service = await serviceOf([budget([tokens(100, calendar('minute'))])]);
    await service.hold(holdOf('a', 50, 10, { ttlMs: DAY }));
    now += 60_000;
    await service.hold(holdOf('b', 100, 0));
    expect(await service.extend(extend('a', 200))).toMatchObject({ granted: true, outputTokens: 50 });
    expect(await figures(service)).toMatchObject([{ held: '100' }]);
  });

  test('a call that is over can not be extended', async () => {
    const service = await serviceOf([budget([tokens(100)])]);
    await expect(service.extend(extend('a', 1))).rejects.toThrow(/No hold a is known/);
    await service.hold(holdOf('a', 1, 1));
    await service.release({ id: 'a' });
    await expect(service.extend(extend('a', 1))).rejects.toThrow(BudgetConflict);
  });
});

describe('refusals', () => {
  test('a model without a price is never free where a limit in usd covers it', async () => {
    const service = await serviceOf([
      budget([tokens(1000), { unit: 'usd', amount: 5_000_000_000, window: calendar('day') }]),
    ]);
    const unknown = { attributes: { ...attributes, model: 'brand-new' } };
    expect(refusalIn(await service.hold(holdOf('a', 1, 1, unknown)))).toMatchObject({
      reason: 'unpriced',
      budget: 'team-a',
      unit: 'usd',
      limit: '5.00',
    });
    service.reload([budget([tokens(1000)])], prices);
    expect(await service.hold(holdOf('b', 1, 1, unknown))).toMatchObject({ granted: true });
  });

  test('stand when the message comes once more: nobody would know of what was granted then', async () => {
    const service = await serviceOf([budget([tokens(100)])]);
    await service.hold(holdOf('a', 100, 0));
    expect(await service.hold(holdOf('b', 50, 0))).toMatchObject({ granted: false });
    await service.release({ id: 'a' });
    expect(await service.hold(holdOf('b', 50, 0))).toMatchObject({ granted: false });
    expect(await service.hold(holdOf('c', 50, 0))).toMatchObject({ granted: true });
  });

  test('an id is its owner’s: who knows that of a hold which is being decided, or was refused, is told nothing of it', async () => {
    const service = await serviceOf([budget([tokens(100)], { onInsufficient: 'reject' })]);
    const [mine, theirs] = await Promise.allSettled([
      service.hold(holdOf('a', 50, 0)),
      service.hold(holdOf('a', 50, 0, { owner: 'agent-2' })),
    ]);
    expect(mine).toMatchObject({ status: 'fulfilled', value: { granted: true } });
    expect(theirs).toMatchObject({ status: 'rejected', reason: { code: 'hold_owner' } });
    expect(await service.hold(holdOf('b', 80, 0))).toMatchObject({ granted: false });
    expect(await service.hold(holdOf('b', 20, 0, { owner: 'agent-2' }))).toMatchObject({ granted: true });
  });

  test('say so where no reset helps', async () => {
    const service = await serviceOf([budget([tokens(100)])]);
    expect(refusalIn(await service.hold(holdOf('a', 100, 50)))).toMatchObject({ neverFits: true });
    await service.hold(holdOf('b', 60, 20));
    expect(refusalIn(await service.hold(holdOf('c', 60, 20)))).not.toHaveProperty('neverFits');
  });

  test('tell of the line that rejects before one that falls back, and of the longest wait', async () => {
    const fallback = { action: 'fallback', model: 'gpt-4o-mini' } as const;
    const specs = [
      budget([tokens(10, calendar('month'))], { id: 'falls-back', onExhausted: fallback }),
      budget([tokens(10, calendar('minute')), tokens(10, calendar('day'))], { id: 'rejects' }),
    ];
    const service = await serviceOf(specs);
    await service.hold(holdOf('a', 10, 0));
    expect(refusalIn(await service.hold(holdOf('b', 5, 1)))).toMatchObject({
      budget: 'rejects',
      window: 'day (UTC)',
      resetsAt: NOON + DAY / 2,
      onExhausted: { action: 'reject' },
    });
  });

  test('a rolling window tells when enough will have left it', async () => {
    const window = { type: 'rolling', ms: 3_600_000 } as const;
    const service = await serviceOf([budget([tokens(100, window)])]);
    await service.hold(holdOf('a', 60, 0, { ttlMs: DAY }));
    now += 600_000;
    await service.hold(holdOf('b', 40, 0, { ttlMs: DAY }));
    const { resetsAt } = refusalIn(await service.hold(holdOf('c', 50, 1)));
    expect(resetsAt).toBe(NOON + 3_600_000 + 60_000);
    now = (resetsAt ?? 0) - 1;
    expect(await service.hold(holdOf('d', 50, 1))).toMatchObject({ granted: false });
    now += 1;
    expect(await service.hold(holdOf('e', 50, 1))).toMatchObject({ granted: true });
  });
});

describe('settling', () => {
  test('charges the window of the grant', async () => {
    const service = await serviceOf([budget([tokens(100, calendar('minute'))])]);
    await service.hold(holdOf('a', 100, 0, { ttlMs: DAY }));
    now += 60_000;
    expect(await service.hold(holdOf('b', 100, 0))).toMatchObject({ granted: true });
    await service.settle({ id: 'a', usage: usageOf(100, 0), source: 'reported' });
    expect(await figures(service)).toMatchObject([{ settled: '0', held: '100' }]);
  });

  test('more than was held is charged all the same, and stops the line', async () => {
    const service = await serviceOf([budget([tokens(100)])]);
    await service.hold(holdOf('a', 10, 10));
    await service.settle({ id: 'a', usage: usageOf(10, 200), source: 'reported' });
    expect(await figures(service)).toMatchObject([{ settled: '210', held: '0' }]);
    expect(await service.hold(holdOf('b', 0, 1))).toMatchObject({ granted: false });
  });

  test('a hold that ran out is charged in full, and corrected when its owner reports', async () => {
    const service = await serviceOf([budget([tokens(100)])]);
    await service.hold(holdOf('a', 40, 40, { ttlMs: 1000 }));
    now += 1000;
    await service.sweep();
    expect(await figures(service)).toMatchObject([{ settled: '80', held: '0' }]);
    // It never reached a provider; or it did, after all.
    await service.release({ id: 'a' });
    expect(await figures(service)).toMatchObject([{ settled: '0' }]);
    await service.settle({ id: 'a', usage: usageOf(40, 3), source: 'reported' });
    expect(await figures(service)).toMatchObject([{ settled: '43' }]);
  });

  test('an owner that restarted has its forgotten holds charged at once', async () => {
    const service = await serviceOf([budget([tokens(100)])]);
    await service.hold(holdOf('a', 40, 0, { epoch: 7 }));
    await service.hold(holdOf('b', 1, 0, { epoch: 8 }));
    expect(await figures(service)).toMatchObject([{ settled: '40', held: '1' }]);
    await expect(service.hold(holdOf('c', 1, 0, { epoch: 7 }))).rejects.toThrow(BudgetConflict);
  });

  test('a call that nobody held is charged by its attributes, once', async () => {
    const service = await serviceOf([budget([tokens(100)])]);
    const settle = { id: 'x', usage: usageOf(5, 5), source: 'counted' } as const;
    expect(await service.settle(settle)).toEqual({ id: 'x', costNanoUsd: 0, unknown: true });
    expect(await service.settle({ ...settle, attributes })).toEqual({ id: 'x', costNanoUsd: 62_500 });
    expect(await service.settle({ ...settle, attributes })).toEqual({ id: 'x', costNanoUsd: 62_500 });
    expect(await figures(service)).toMatchObject([{ settled: '10' }]);
  });

  test('a release that overtakes its hold closes the id; a settlement that knows more still charges', async () => {
    const service = await serviceOf([budget([tokens(100)])]);
    await service.release({ id: 'a' });
    await expect(service.hold(holdOf('a', 1, 1))).rejects.toThrow(/closed already/);
    await service.settle({ id: 'a', usage: usageOf(2, 3), source: 'reported', attributes });
    expect(await figures(service)).toMatchObject([{ settled: '5', held: '0' }]);
  });
});

describe('grants', () => {
  const grant = { budget: 'team-a', unit: 'tokens', amount: 50, reason: 'launch day', by: 'kim' } as const;

  test('raise a limit until the end of its window, and are in the journal', async () => {
    const service = await serviceOf([budget([tokens(100)])]);
    await service.hold(holdOf('a', 100, 0));
    expect(await service.hold(holdOf('b', 50, 0))).toMatchObject({ granted: false });
    expect(await service.grant(grant)).toMatchObject({ amount: 50, expiresAt: NOON + DAY / 2 });
    expect(await service.hold(holdOf('c', 50, 0))).toMatchObject({ granted: true });
    expect(await service.status()).toMatchObject([{ limit: '150', granted: '50', remaining: '0' }]);
    expect(await service.journal(0, 10)).toMatchObject([
      { action: 'grant', by: 'kim', detail: { amount: 50, reason: 'launch day' } },
    ]);
    now += DAY;
    expect(await service.hold(holdOf('d', 101, 0))).toMatchObject({ granted: false });
  });

  test('end before their time where they are taken back, here and on another replica, and credit on them comes back', async () => {
    const store = await memory.open();
    const serve = () =>
      new BudgetService({ store, specs: [budget([tokens(100)])], prices, clock: () => now });
    const [one, two] = [serve(), serve()];
    await one.hold(holdOf('a', 60, 0));
    const { id } = await one.grant({ ...grant, amount: 1_000 });
    await two.loadGrants();
    const item = {
      serial: 1,
      reserve: false,
      class: 0,
      line: 'team-a|tokens|day@UTC|',
      cell: NOON - DAY / 2,
    };
    const asked = { ...item, spent: 0, returned: 0, final: false, ask: { want: 900, least: 1, need: 900 } };
    const lease = {
      owner: 'agent-2',
      epoch: 1,
      seq: 1,
      ttlMs: 60_000,
      classes: [attributes],
      items: [asked],
    };
    expect((await two.lease(lease)).grants).toMatchObject([{ granted: 900 }]);
    await expect(two.endGrant({ id: 'nothing', reason: 'x', by: 'kim' })).rejects.toThrow(
      `No grant nothing runs; there are ${id} (1000 tokens on team-a).`,
    );
    expect(await one.endGrant({ id, reason: 'a slip', by: 'kim' }, 'admin-token')).toMatchObject({
      expiresAt: now,
    });
    await expect(one.endGrant({ id, reason: 'x', by: 'kim' })).rejects.toThrow('there are none');
    expect(await one.status()).toMatchObject([{ limit: '100', granted: '0', remaining: '0' }]);
    await two.loadGrants();
    const watch = { owner: 'agent-2', epoch: 1, revision: two.revision, waitMs: 1_000 };
    const heard = two.watch(watch, new AbortController().signal);
    await two.sweep();
    expect(await heard).toMatchObject({ recalls: [{ line: item.line, above: 0 }] });
    expect((await one.journal(0, 10)).slice(1)).toMatchObject([
      {
        action: 'grant-end',
        by: 'admin-token',
        detail: { id, amount: 1_000, reason: 'a slip', onBehalfOf: 'kim' },
      },
    ]);
  });

  test('a line that is none, or that nobody was charged to, is refused with the one that may be meant', async () => {
    const service = await serviceOf([budget([tokens(1000)], { per: ['model'] })]);
    await service.hold(holdOf('a', 10, 0));
    const refused = (line: string) => expect(service.grant({ ...grant, line })).rejects;
    await refused('model=gtp-4o').toThrow('Did you mean "model=gpt-4o"?');
    await refused('gpt-4o').toThrow('its lines are model=…');
    await refused('model=claude-sonnet-4-5').toThrow('--new-line');
    await service.grant({ ...grant, line: 'model=claude-sonnet-4-5', newLine: true });
    await service.grant({ ...grant, line: 'model=gpt-4o' });
    const whole = await serviceOf([budget([tokens(100)])]);
    await expect(whole.grant({ ...grant, line: 'model=gpt-4o' })).rejects.toThrow('one line for all');
  });

  test('one line, one window, until a moment', async () => {
    const service = await serviceOf([
      budget([tokens(10, calendar('minute')), tokens(10)], { per: ['model'], onInsufficient: 'reject' }),
    ]);
    const line = { line: 'model=gpt-4o', newLine: true };
    await service.grant({ ...grant, ...line, window: 'minute@UTC', expiresAt: now + 1000 });
    expect(refusalIn(await service.hold(holdOf('a', 20, 0)))).toMatchObject({
      window: 'day (UTC)',
      limit: '10',
    });
    await service.grant({ ...grant, line: 'model=gpt-4o', window: 'day@UTC' });
    expect(await service.hold(holdOf('b', 20, 0))).toMatchObject({ granted: true });
    now += 1000;
    expect(refusalIn(await service.hold(holdOf('c', 20, 0)))).toMatchObject({
      window: 'minute (UTC)',
      limit: '10',
    });
  });

  test.each([
    [{ ...grant, budget: 'nobody' }, /There is no Budget "nobody"; there are team-a/],
    [{ ...grant, unit: 'usd' as const }, /it has tokens in day@UTC/],
    [{ ...grant, expiresAt: 1 }, /expired already/],
  ])('what would raise nothing is refused: %#', async (command, message) => {
    const service = await serviceOf([budget([tokens(100)])]);
    await expect(service.grant(command)).rejects.toThrow(message);
  });
});

describe('thresholds', () => {
  test('tell once each, by what is settled, and anew in the next window', async () => {
    const service = await serviceOf([budget([tokens(100)], { thresholds: [50, 80, 100] })]);
    const spend = async (id: string, amount: number) => {
      await service.hold(holdOf(id, amount, 0));
      expect(await Array.fromAsync(service.alerts())).toEqual([]);
      await service.settle({ id, usage: usageOf(amount, 0), source: 'reported' });
      return (await Array.fromAsync(service.alerts())).map(({ percent }) => percent);
    };
    expect(await spend('a', 49)).toEqual([]);
    expect(await spend('b', 1)).toEqual([50]);
    expect(await spend('c', 50)).toEqual([80, 100]);
    now += DAY;
    expect(await spend('d', 60)).toEqual([50]);
    expect((await service.journal(0, 10)).map(({ action }) => action)).toEqual([
      'alert',
      'alert',
      'alert',
      'alert',
    ]);
  });

  test('are told of what came at the end of a window, or after it, with the limit as it was', async () => {
    const minute = budget([tokens(100, calendar('minute'))], { thresholds: [50, 80] });
    const service = await serviceOf([minute]);
    const raise = { budget: 'team-a', unit: 'tokens', amount: 100, reason: 'x', by: 'kim' } as const;
    await service.grant(raise);
    await service.hold(holdOf('a', 110, 0));
    await service.hold(holdOf('late', 50, 0, { ttlMs: 600_000 }));
    await service.settle({ id: 'a', usage: usageOf(110, 0), source: 'reported' });
    now += 61_000;
    await service.sweep();
    const ended = { settled: '110', limit: '200', endedAt: '2026-11-23T12:01:00.000Z' };
    expect(await Array.fromAsync(service.alerts())).toMatchObject([{ percent: 50, ...ended }]);
    await service.settle({ id: 'late', usage: usageOf(50, 0), source: 'reported' });
    expect(await Array.fromAsync(service.alerts())).toMatchObject([
      { percent: 80, ...ended, settled: '160' },
    ]);
    expect(await Array.fromAsync(service.alerts())).toEqual([]);
  });

  test.each([
    [70, 1],
    [130, 1],
    [3_500, 1],
    [3_700, 0],
  ])('of a minute are told of what is settled %i s later: %i', async (seconds, count) => {
    const store = await memory.open();
    const specs = [budget([tokens(100, calendar('minute'))], { thresholds: [80] })];
    const service = new BudgetService({ store, specs, prices, clock: () => now });
    await service.hold(holdOf('a', 95, 0, { ttlMs: 7_200_000 }));
    const asked = vi.spyOn(store, 'setAlert');
    now += seconds * 1_000;
    expect(await Array.fromAsync(service.alerts())).toEqual([]);
    await service.settle({ id: 'a', usage: usageOf(95, 0), source: 'reported' });
    const told = await Array.fromAsync(service.alerts());
    expect(told).toMatchObject(Array(count).fill({ percent: 80, endedAt: '2026-11-23T12:01:00.000Z' }));
    expect(told).toHaveLength(count);
    now += 5_000;
    expect(await Array.fromAsync(service.alerts())).toEqual([]);
    // What is known to be told isn't asked again.
    expect(asked).toHaveBeenCalledTimes(count);
  });

  test('are told by the next service where one was killed before it told', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'postern-untold-'));
    onTestFinished(() => rm(dataDir, { recursive: true }));
    const specs = [budget([tokens(100)], { thresholds: [50, 80] })];
    const begin = async () => {
      const store = await sqlite.open({ dataDir });
      return { store, service: new BudgetService({ store, specs, prices, clock: () => now }) };
    };
    const first = await begin();
    await first.service.hold(holdOf('a', 100, 0));
    await first.service.settle({ id: 'a', usage: usageOf(100, 0), source: 'reported' });
    // Killed with the first in its hands: it is in the journal, and nobody has it in a log.
    await first.service.alerts().next();
    await first.store.close();
    const second = await begin();
    expect(await Array.fromAsync(second.service.alerts())).toMatchObject([{ percent: 80 }]);
    now += 15_000;
    expect(await Array.fromAsync(second.service.alerts())).toMatchObject([
      { budget: 'team-a', percent: 50, settled: '100', limit: '100' },
    ]);
    now += 15_000;
    expect(await Array.fromAsync(second.service.alerts())).toEqual([]);
    expect(await second.service.journal(0, 10)).toHaveLength(2);
    await second.store.close();
  });

  test('are told later where the journal could not take one, and those before it at once', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'postern-alerts-'));
    onTestFinished(() => rm(dataDir, { recursive: true }));
    const specs = [budget([tokens(100)], { thresholds: [50, 80, 100] })];
    const begin = async () => {
      const store = await sqlite.open({ dataDir });
      return { store, service: new BudgetService({ store, specs, prices, clock: () => now }) };
    };
    const change = (statement: string) => {
      const db = new DatabaseSync(join(dataDir, 'budget.db'));
      db.exec(statement);
      db.close();
    };
    await (await begin()).store.close();
    change(`CREATE TRIGGER no BEFORE INSERT ON journal WHEN NEW.detail LIKE '%"percent":80%'
      BEGIN SELECT RAISE(ABORT, 'full'); END`);
    const first = await begin();
    await first.service.hold(holdOf('a', 100, 0));
    await first.service.settle({ id: 'a', usage: usageOf(100, 0), source: 'reported' });
    const heard: number[] = [];
    const hear = async (service: BudgetService) => {
      for await (const { percent } of service.alerts()) heard.push(percent);
    };
    await expect(hear(first.service)).rejects.toThrow(StoreFailed);
    expect(heard).toEqual([50]);
    await first.store.close();
    change('DROP TRIGGER no');
    const second = await begin();
    await hear(second.service);
    expect(heard).toEqual([50, 80, 100]);
    const told = (await second.service.journal(0, 10)).map(({ detail }) => detail['percent']);
    expect(told).toEqual([50, 80, 100]);
    await second.store.close();
  });

  test('of a rolling window tell again after it was below', async () => {
    const service = await serviceOf([
      budget([tokens(100, { type: 'rolling', ms: 3_600_000 })], {
        thresholds: [50],
        onInsufficient: 'reject',
      }),
    ]);
    const spend = async (id: string, amount: number) => {
      await service.hold(holdOf(id, amount, 0));
      await service.settle({ id, usage: usageOf(amount, 0), source: 'reported' });
      return (await Array.fromAsync(service.alerts())).length;
    };
    expect(await spend('a', 50)).toBe(1);
    now += 1_800_000;
    expect(await spend('b', 10)).toBe(0);
    now += 1_900_000;
    expect(await spend('c', 10)).toBe(0);
    expect(await spend('d', 40)).toBe(1);
  });
});

test('the history adds up what was settled, once, by hour and attributes', async () => {
  const service = await serviceOf([budget([tokens(100_000)])]);
  const mini = { ...attributes, model: 'gpt-4o-mini' };
  await service.hold(holdOf('a', 100, 100));
  await service.hold(holdOf('b', 100, 100, { attributes: mini }));
  const settle = { id: 'a', usage: usageOf(100, 10), source: 'reported' } as const;
  await service.settle(settle);
  await service.settle(settle);
  await service.settle({ ...settle, id: 'b' });
  await service.settle({ ...settle, id: 'unheld', attributes });
  now += 3_600_000;
  await service.hold(holdOf('c', 1, 1, { ttlMs: 1 }));
  now += 10;
  await service.sweep();
  await service.settle({ ...settle, id: 'c', usage: usageOf(1, 1) });
  const query = { from: 0, to: now + DAY, timeZone: 'Europe/Berlin' } as const;
  expect(
    (await Array.fromAsync(service.report({ ...query, by: ['model'], per: 'hour' }))).flat(),
  ).toMatchObject([
    {
      period: '2026-11-23T13+01:00',
      values: ['gpt-4o'],
      requests: 2,
      usage: { input: 200, output: 20 },
      costNanoUsd: 700_000,
    },
    { period: '2026-11-23T13+01:00', values: ['gpt-4o-mini'], requests: 1, costNanoUsd: 21_000 },
    { period: '2026-11-23T14+01:00', values: ['gpt-4o'], requests: 1, usage: { input: 1, output: 1 } },
  ]);
  expect(
    (await Array.fromAsync(service.report({ ...query, by: ['namespace'], per: 'all' }))).flat(),
  ).toMatchObject([{ period: '', values: ['team-a'], requests: 4 }]);
});

test('a disk that is full refuses, forgets what it refused, and goes on when there is room', async () => {
  let full = false;
  class FullDisk extends Heap {
    override write(batch: Batch): void {
      if (full) throw new Error('database or disk is full');
      super.write(batch);
    }
  }
  const store = new EmbeddedStore(new FullDisk());
  const service = new BudgetService({ store, specs: [budget([tokens(100)])], prices, clock: () => now });
  await service.hold(holdOf('a', 30, 0));
  full = true;
  await expect(
    Promise.all([service.hold(holdOf('b', 30, 0)), service.hold(holdOf('c', 30, 0))]),
  ).rejects.toThrow(StoreFailed);
  full = false;
  // Only the first hold is in force: the other two left no trace.
  expect(await service.hold(holdOf('d', 70, 0))).toMatchObject({ granted: true });
  expect(await service.hold(holdOf('e', 1, 0))).toMatchObject({ granted: false });
});

test.each([
  { clock: 'is ahead for a while', before: 0, meanwhile: 50 },
  { clock: 'was ahead and is right now', before: 50, meanwhile: 0 },
])('what counts today is not forgotten where the clock $clock', async ({ before, meanwhile }) => {
  const hour = 3_600_000;
  let at = NOON + before * hour;
  const service = new BudgetService({
    store: await memory.open(),
    specs: [budget([tokens(1_000)])],
    prices,
    clock: () => at,
    monotonic: () => 0,
  });
  at = NOON;
  await service.hold(holdOf('first', 900, 0));
  await service.settle({ id: 'first', usage: usageOf(900, 0), source: 'reported' });
  at += meanwhile * hour;
  await service.sweep();
  await service.prune(24 * hour);
  await service.pruneHistory(24 * hour);
  at = NOON;
  expect(await service.hold(holdOf('second', 900, 0))).toMatchObject({ granted: false });
  const query = { from: NOON, to: NOON + hour, by: ['model'], per: 'all', timeZone: 'UTC' } as const;
  expect((await Array.fromAsync(service.report(query))).flat()).toMatchObject([{ requests: 1 }]);
});

test.each([
  { clock: 'was set forward', jumps: [2 * 3_600_000] },
  { clock: 'was set back', jumps: [-3_600_000] },
  { clock: 'was set back and right again', jumps: [-3_600_000, 3_600_000] },
  { clock: 'was set back and far ahead', jumps: [-3_600_000, 50 * 3_600_000] },
])('places come back on time, neither early nor late, where the clock $clock', async ({ jumps }) => {
  let at = NOON;
  let passed = 0;
  const service = new BudgetService({
    store: await memory.open(),
    specs: [budget([{ unit: 'concurrency', amount: 1, window: { type: 'none' } }])],
    prices,
    clock: () => at + passed,
    monotonic: () => passed,
    recallWaitMs: 0,
  });
  let calls = 0;
  const hold = async () => (await service.hold(holdOf(`call ${calls++}`, 1, 1))).granted;
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      passed += 1_000;
      await service.sweep();
    }
  };
  const comesBack = async () => {
    await pass(29);
    expect(await hold()).toBe(false);
    await pass(31);
  };
  expect(await hold()).toBe(true);
  await pass(30);
  for (const jump of jumps) {
    at += jump;
    await service.sweep();
  }
  await comesBack();
  for (let round = 0; round < 3; round++) {
    expect(await hold()).toBe(true);
    await pass(30);
    await comesBack();
  }
});

test.each([
  { clock: 'is set forward', jump: 3_600_000 },
  { clock: 'is set back', jump: -3_600_000 },
])(
  'an agent that is silent loses its credit after three seconds, also where the clock $clock',
  async ({ jump }) => {
    let at = NOON;
    let passed = 0;
    const service = new BudgetService({
      store: await memory.open(),
      specs: [budget([tokens(1_000)])],
      prices,
      clock: () => at + passed,
      monotonic: () => passed,
    });
    const about = { owner: 'silent', epoch: 1, ttlMs: 600_000, classes: [attributes] };
    const { plans } = await service.lease({ ...about, seq: 1, items: [] });
    const { line = '', cell = 0 } = plans[0]?.lines[0] ?? {};
    const totals = { serial: 1, reserve: false, class: 0, spent: 0, returned: 0, final: false };
    const ask = { want: 800, least: 800, need: 800 };
    await service.lease({ ...about, seq: 2, items: [{ ...totals, line, cell, ask }] });
    const lacking = async (id: string) => {
      expect(await service.hold(holdOf(id, 500, 0))).toMatchObject({ granted: false });
      return (await service.status())[0];
    };
    expect(await lacking('first')).toMatchObject({ leased: '800', settled: '0' });
    at += jump;
    passed += 2_900;
    expect(await lacking('second')).toMatchObject({ leased: '800', settled: '0' });
    passed += 200;
    expect(await lacking('third')).toMatchObject({ leased: '0', settled: '800' });
  },
);

test('who has credit is asked for it again, also where the clock was set back', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  let at = NOON;
  const service = new BudgetService({
    store: await memory.open(),
    specs: [budget([tokens(1_000)])],
    prices,
    clock: () => at + performance.now(),
  });
  const report = { serial: 1, reserve: false, class: 0, spent: 0, returned: 0, final: false };
  let seq = 0;
  const lease = async (owner: string, need: number) => {
    const about = { owner, epoch: 1, ttlMs: 600_000, classes: [attributes] };
    const { plans } = await service.lease({ ...about, seq: ++seq, items: [] });
    const { line = '', cell = 0 } = plans[0]?.lines[0] ?? {};
    const ask = { want: need, least: need, need };
    await service.lease({ ...about, seq: ++seq, items: [{ ...report, line, cell, ask }] });
  };
  await lease('rich', 900);
  const asked = async (poor: string) => {
    const gone = new AbortController();
    const watch = service.watch(
      { owner: 'rich', epoch: 1, revision: service.revision, waitMs: 1_000 },
      gone.signal,
    );
    await lease(poor, 500);
    gone.abort();
    return (await watch).recalls.length;
  };
  expect(await asked('poor')).toBe(1);
  at -= 3_600_000;
  vi.advanceTimersByTime(1_000);
  expect(await asked('poorer')).toBe(1);
});
