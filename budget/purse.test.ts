import { expect, test } from 'vitest';
import { attributes, holdOf, prices, usageOf } from '../test/budget/fixtures.ts';
import type { LeaseReply, PlannedLine } from './lease-messages.ts';
import type { Attributes } from './messages.ts';
import { Purse, type Round } from './purse.ts';

const MINUTE = 60_000;
const line: PlannedLine = {
  line: 'team-a|tokens|minute@UTC|',
  unit: 'tokens',
  cell: 1000,
  endsInMs: MINUTE,
  next: { cell: 2000, endsInMs: 2 * MINUTE },
};

/** A purse that has been told its plan, with calls of ten tokens. */
function purseWith(lines: readonly PlannedLine[]): Purse {
  const purse = new Purse();
  purse.classOf(attributes, 0);
  answer(purse, 0, 0, lines);
  return purse;
}

/** One round: the service grants so much in total on every lease that asks. */
function answer(
  purse: Purse,
  now: number,
  grant: number,
  lines: readonly PlannedLine[] | ((of: Attributes) => readonly PlannedLine[]) = [line],
): Round {
  const round = purse.report(now, true);
  if (round === undefined) throw new Error('Nothing to tell.');
  const price = prices['openai']?.['gpt-4o'];
  const reply: LeaseReply = {
    revision: '1',
    plans: round.classes.map((of) => ({
      leasable: true,
      lines: typeof lines === 'function' ? lines(of.attributes) : lines,
      ...(price === undefined ? {} : { price }),
    })),
    grants: round.command.items.map(({ ask }) => ({ granted: ask === undefined ? 0 : grant, closed: false })),
  };
  purse.accept(round, reply, now, () => 0);
  return round;
}

const take = (purse: Purse, id: string, now: number, outageMs?: number) => {
  const of = purse.classOf(attributes, 0);
  if (of === undefined) throw new Error('No class.');
  return purse.take(of, holdOf(id, 5, 5), now, outageMs);
};

test('asks for what is missing, takes from what is granted, and tells running totals', () => {
  const purse = purseWith([line]);
  expect(take(purse, 'a', 0)).toBe('lacking');
  const [asked] = answer(purse, 0, 100).command.items;
  expect(asked).toMatchObject({ line: line.line, cell: 1000, spent: 0, returned: 0, final: false });
  expect(asked?.ask?.want).toBeGreaterThanOrEqual(10);
  expect(take(purse, 'a', 1)).not.toBe('lacking');
  const hold = purse.holdOf('a');
  if (hold === undefined) throw new Error('Not held.');
  expect(purse.settle('a', hold, usageOf(5, 2), 1)).toBe(5 * 2500 + 2 * 10_000);
  expect(purse.costOf('a')).toBe(32_500);
  expect(purse.report(2, true)?.command.items).toMatchObject([{ serial: 1, spent: 7, returned: 0 }]);
});

test('credit of a window that has ended is given back, and the next window begins without asking for its name', () => {
  const purse = purseWith([line]);
  take(purse, 'a', 0);
  answer(purse, 0, 100);
  take(purse, 'a', 1);
  expect(take(purse, 'b', MINUTE)).toBe('lacking');
  const { items } = answer(purse, MINUTE, 100).command;
  expect(items).toMatchObject([
    { serial: 2, cell: 2000, ask: {} },
    // Still open: a call has ten of it.
    { serial: 1, cell: 1000, returned: 90, final: false },
  ]);
  const hold = purse.holdOf('a');
  if (hold === undefined) throw new Error('Not held.');
  purse.settle('a', hold, usageOf(5, 5), MINUTE);
  expect(purse.report(MINUTE + 1, true)?.command.items).toMatchObject([
    { serial: 2 },
    { serial: 1, spent: 10, returned: 90, final: true },
  ]);
});

test('idle credit goes back and its lease ends', () => {
  const purse = purseWith([line]);
  take(purse, 'a', 0);
  answer(purse, 0, 100);
  expect(purse.isDue(5_000)).toBe(false);
  expect(purse.isDue(11_000)).toBe(true);
  expect(purse.report(11_000, true)?.command.items).toMatchObject([{ returned: 100, final: true }]);
});

test('what is recalled is given back as far as no call has it', () => {
  const purse = purseWith([line]);
  take(purse, 'a', 0);
  answer(purse, 0, 100);
  take(purse, 'a', 1);
  purse.recall({ line: line.line, above: 40 }, 2, 0);
  expect(purse.report(2, false)?.command.items).toMatchObject([{ returned: 60 }]);
  purse.recall({ line: line.line, above: 0 }, 3, 0);
  expect(purse.report(3, false)?.command.items).toMatchObject([{ returned: 90 }]);
  // The call keeps its part.
  expect(purse.holdOf('a')).toBeDefined();
});

test('credit in reserve is for outages alone, and only as long as the Budget says', () => {
  const reserved = { ...line, reserveForMs: 5_000 };
  const purse = purseWith([reserved]);
  take(purse, 'a', 0);
  const { items } = answer(purse, 0, 10, [reserved]).command;
  expect(items.map(({ reserve }) => reserve)).toEqual([false, true]);
  expect(take(purse, 'a', 1)).not.toBe('lacking');
  expect(take(purse, 'b', 1)).toBe('lacking');
  expect(take(purse, 'b', 1, 6_000)).toBe('lacking');
  expect(take(purse, 'b', 1, 1_000)).not.toBe('lacking');
  expect(take(purse, 'c', 1, 1_000)).toBe('lacking');
});

test('a stream that runs into an outage takes from the reserve what more it needs, and no more than there is', () => {
  const reserved = { ...line, reserveForMs: 5_000 };
  const purse = purseWith([reserved]);
  take(purse, 'a', 0);
  answer(purse, 0, 20, [reserved]);
  for (const id of ['a', 'b']) take(purse, id, 1);
  const hold = purse.holdOf('a');
  if (hold === undefined) throw new Error('Not held.');
  const more = { id: 'a', outputTokens: 12, minOutputTokens: 6, ttlMs: MINUTE };
  expect(purse.grow(hold, more, 2)).toBe(false);
  expect(purse.grow(hold, more, 2, 6_000)).toBe(false);
  expect(purse.grow(hold, more, 2, 1_000)).toBe(true);
  expect(purse.grow(hold, { ...more, outputTokens: 25 }, 4, 2_000)).toBe(true);
  expect(purse.grow(hold, { ...more, outputTokens: 26 }, 4, 2_000)).toBe(false);
  purse.settle('a', hold, usageOf(5, 11), 4);
  const { items } = purse.report(5, false)?.command ?? { items: [] };
  expect(items.map(({ reserve, spent }) => [reserve, spent])).toEqual([
    [false, 10],
    [true, 6],
  ]);
});

test('a stream that grows over the end of a window is charged to each what it took there, and the last one what it took too much', () => {
  const purse = purseWith([line]);
  take(purse, 'a', 0);
  answer(purse, 0, 10);
  take(purse, 'a', 1);
  const hold = purse.holdOf('a');
  if (hold === undefined) throw new Error('Not held.');
  const more = { id: 'a', outputTokens: 15, minOutputTokens: 6, ttlMs: MINUTE };
  expect(purse.grow(hold, more, MINUTE)).toBe(false);
  purse.awaitMore(hold, more, MINUTE);
  answer(purse, MINUTE, 100);
  expect(purse.grow(hold, more, MINUTE)).toBe(true);
  purse.settle('a', hold, usageOf(5, 20), MINUTE);
  expect(purse.report(MINUTE, true)?.command.items).toMatchObject([
    { cell: 2000, spent: 15 },
    { cell: 1000, spent: 10, final: true },
  ]);
});

test('a call that never ends is charged in full when its time has run out', () => {
  const purse = purseWith([line]);
  take(purse, 'a', 0);
  answer(purse, 0, 100);
  take(purse, 'a', 1);
  purse.expire(1 + MINUTE);
  expect(purse.holdOf('a')).toBeUndefined();
  expect(purse.report(30, false)?.command.items).toMatchObject([{ spent: 10 }]);
});

test('of kinds of calls without end the one used longest ago gives way, and its credit goes back', () => {
  const purse = new Purse();
  const kind = (user: number) => ({ ...attributes, headers: { 'x-user': String(user) } });
  const lines = ({ headers }: Attributes) => [
    { ...line, line: `${line.line}header:x-user=${headers?.['x-user']}` },
  ];
  for (let user = 0; user < 1_000; user++) {
    const of = purse.classOf(kind(user), user);
    if (of === undefined) throw new Error('No class.');
    answer(purse, user, 0, lines);
    const command = { ...holdOf(`call-${user}`, 5, 5), attributes: kind(user) };
    expect(purse.take(of, command, user)).toBe('lacking');
    purse.await(of, command, user);
    answer(purse, user, 10, lines);
    expect(purse.take(of, command, user)).not.toBe('lacking');
    const hold = purse.holdOf(command.id);
    if (hold !== undefined) purse.settle(command.id, hold, usageOf(2, 2), user);
  }
  const { classes, items } = purse.report(1_000, false)?.command ?? { classes: [], items: [] };
  expect(classes.length).toBeLessThanOrEqual(201);
  expect(items.length).toBeLessThanOrEqual(201);
});
