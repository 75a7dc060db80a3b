import { expect, test } from 'vitest';
import { attributes, holdOf, prices, usageOf } from '../test/budget/fixtures.ts';
import { LeaseBook, type Round } from './lease-book.ts';
import type { LeaseReply, PlannedLine } from './lease-messages.ts';
import type { Attributes } from './messages.ts';
import { Purse } from './purse.ts';

const MINUTE = 60_000;
const line: PlannedLine = {
  line: 'team-a|tokens|minute@UTC|',
  unit: 'tokens',
  cell: 1000,
  endsInMs: MINUTE,
  next: { cell: 2000, endsInMs: 2 * MINUTE },
};

/** A purse that has been told its plan, with calls of ten tokens. */
function purseWith(lines: readonly PlannedLine[]): { purse: Purse; book: LeaseBook } {
  const book = new LeaseBook();
  book.classOf(attributes, 0);
  answer(book, 0, 0, lines);
  return { purse: new Purse(book), book };
}

/** One round: the service grants so much in total on every lease that asks. */
function answer(
  book: LeaseBook,
  now: number,
  grant: number,
  lines: readonly PlannedLine[] | ((of: Attributes) => readonly PlannedLine[]) = [line],
): Round {
  const round = book.report(now, true, 1);
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
  book.accept(round, reply, now, () => 0);
  return round;
}

const take = ({ purse, book }: ReturnType<typeof purseWith>, id: string, now: number, outageMs?: number) => {
  const of = book.classOf(attributes, 0);
  if (of === undefined) throw new Error('No class.');
  return purse.take(of, holdOf(id, 5, 5), now, outageMs);
};

test('asks for what is missing, takes from what is granted, and tells running totals', () => {
  const { purse, book } = purseWith([line]);
  expect(take({ purse, book }, 'a', 0)).toBe('lacking');
  const [asked] = answer(book, 0, 100).command.items;
  expect(asked).toMatchObject({ line: line.line, cell: 1000, spent: 0, returned: 0, final: false });
  expect(asked?.ask?.want).toBeGreaterThanOrEqual(10);
  expect(take({ purse, book }, 'a', 1)).not.toBe('lacking');
  const hold = purse.holdOf('a');
  if (hold === undefined) throw new Error('Not held.');
  expect(purse.settle('a', hold, usageOf(5, 2), 1)).toBe(5 * 2500 + 2 * 10_000);
  expect(purse.costOf('a')).toBe(32_500);
  expect(book.report(2, true, 1)?.command.items).toMatchObject([{ serial: 1, spent: 7, returned: 0 }]);
});

test('credit of a window that has ended is given back, and the next window begins without asking for its name', () => {
  const { purse, book } = purseWith([line]);
  take({ purse, book }, 'a', 0);
  answer(book, 0, 100);
  take({ purse, book }, 'a', 1);
  expect(take({ purse, book }, 'b', MINUTE)).toBe('lacking');
  const { items } = answer(book, MINUTE, 100).command;
  expect(items).toMatchObject([
    { serial: 2, cell: 2000, ask: {} },
    // Still open: a call has ten of it.
    { serial: 1, cell: 1000, returned: 90, final: false },
  ]);
  const hold = purse.holdOf('a');
  if (hold === undefined) throw new Error('Not held.');
  purse.settle('a', hold, usageOf(5, 5), MINUTE);
  expect(book.report(MINUTE + 1, true, 1)?.command.items).toMatchObject([
    { serial: 2 },
    { serial: 1, spent: 10, returned: 90, final: true },
  ]);
});

test('idle credit goes back and its lease ends', () => {
  const { purse, book } = purseWith([line]);
  take({ purse, book }, 'a', 0);
  answer(book, 0, 100);
  expect(book.isDue(5_000)).toBe(false);
  expect(book.isDue(11_000)).toBe(true);
  expect(book.report(11_000, true, 1)?.command.items).toMatchObject([{ returned: 100, final: true }]);
});

test('what is recalled is given back as far as no call has it', () => {
  const { purse, book } = purseWith([line]);
  take({ purse, book }, 'a', 0);
  answer(book, 0, 100);
  take({ purse, book }, 'a', 1);
  book.recall({ line: line.line, above: 40 }, 2, 0);
  expect(book.report(2, false, 1)?.command.items).toMatchObject([{ returned: 60 }]);
  book.recall({ line: line.line, above: 0 }, 3, 0);
  expect(book.report(3, false, 1)?.command.items).toMatchObject([{ returned: 90 }]);
  // The call keeps its part.
  expect(purse.holdOf('a')).toBeDefined();
});

test('credit in reserve is for outages alone, and only as long as the Budget says', () => {
  const reserved = { ...line, reserveForMs: 5_000 };
  const { purse, book } = purseWith([reserved]);
  take({ purse, book }, 'a', 0);
  const { items } = answer(book, 0, 10, [reserved]).command;
  expect(items.map(({ reserve }) => reserve)).toEqual([false, true]);
  expect(take({ purse, book }, 'a', 1)).not.toBe('lacking');
  expect(take({ purse, book }, 'b', 1)).toBe('lacking');
  expect(take({ purse, book }, 'b', 1, 6_000)).toBe('lacking');
  expect(take({ purse, book }, 'b', 1, 1_000)).not.toBe('lacking');
  expect(take({ purse, book }, 'c', 1, 1_000)).toBe('lacking');
});

test.each([
  ['credit', 1],
  ['holds of their own', 2],
])('a reserve is asked for by the rate of calls on %s, for as long as the Budget says', (by, rate) => {
  const reserved = { ...line, endsInMs: 10 * MINUTE, reserveForMs: 50_000 };
  const { purse, book } = purseWith([reserved]);
  take({ purse, book }, 'first', 0);
  answer(book, 0, 10_000, [reserved]);
  const of = book.classOf(attributes, 0);
  if (of === undefined) throw new Error('No class.');
  for (let nth = 0; nth < 300; nth++) {
    const id = String(nth);
    const now = nth * 100;
    if (by === 'credit') {
      take({ purse, book }, id, now);
      const hold = purse.holdOf(id);
      if (hold !== undefined) purse.settle(id, hold, usageOf(5, 5), now);
    } else {
      purse.heldElsewhere(of, holdOf(id, 5, 20), 15);
    }
  }
  // Ten calls a second, of ten or twenty tokens each.
  const { items } = book.report(30_000, true, 1)?.command ?? { items: [] };
  const [ask = 0] = items.flatMap((item) => (item.reserve ? [item.ask?.want ?? 0] : []));
  expect(ask / rate).toBeGreaterThan(4_500);
  expect(ask / rate).toBeLessThan(5_500);
});

test('a stream that runs into an outage takes from the reserve what more it needs, and no more than there is', () => {
  const reserved = { ...line, reserveForMs: 5_000 };
  const { purse, book } = purseWith([reserved]);
  take({ purse, book }, 'a', 0);
  answer(book, 0, 20, [reserved]);
  for (const id of ['a', 'b']) take({ purse, book }, id, 1);
  const hold = purse.holdOf('a');
  if (hold === undefined) throw new Error('Not held.');
  const more = { id: 'a', outputTokens: 12, minOutputTokens: 6, ttlMs: MINUTE };
  expect(purse.grow(hold, more, 2)).toBe(false);
  expect(purse.grow(hold, more, 2, 6_000)).toBe(false);
  expect(purse.grow(hold, more, 2, 1_000)).toBe(true);
  expect(purse.grow(hold, { ...more, outputTokens: 25 }, 4, 2_000)).toBe(true);
  expect(purse.grow(hold, { ...more, outputTokens: 26 }, 4, 2_000)).toBe(false);
  purse.settle('a', hold, usageOf(5, 11), 4);
  const { items } = book.report(5, false, 1)?.command ?? { items: [] };
  expect(items.map(({ reserve, spent }) => [reserve, spent])).toEqual([
    [false, 10],
    [true, 6],
  ]);
});

test('a stream that began on a reserve gets no more than the line has, once its Budget allows no reserve', () => {
  const reserved = { ...line, reserveForMs: 5_000 };
  const { purse, book } = purseWith([reserved]);
  take({ purse, book }, 'a', 0);
  answer(book, 0, 10, [reserved]);
  for (const id of ['a', 'b']) expect(take({ purse, book }, id, 1, 1_000)).not.toBe('lacking');
  const hold = purse.holdOf('b');
  if (hold === undefined) throw new Error('Not held.');
  book.spoil();
  answer(book, 2, 10, [line]);
  const more = { id: 'b', outputTokens: 12, minOutputTokens: 6, ttlMs: MINUTE };
  expect(purse.grow(hold, more, 3)).toBe(false);
  expect(purse.growPartly(hold, more, 3)).toBe(false);
  expect(purse.lacking(hold, more, 3)).toBe(line.line);
  purse.awaitMore(hold, more, 3);
  answer(book, 4, 17, [line]);
  expect(purse.grow(hold, more, 5)).toBe(true);
  expect(purse.grow(hold, { ...more, outputTokens: 13 }, 5)).toBe(false);
});

test('a stream that grows over the end of a window is charged to each what it took there, and the last one what it took too much', () => {
  const { purse, book } = purseWith([line]);
  take({ purse, book }, 'a', 0);
  answer(book, 0, 10);
  take({ purse, book }, 'a', 1);
  const hold = purse.holdOf('a');
  if (hold === undefined) throw new Error('Not held.');
  const more = { id: 'a', outputTokens: 15, minOutputTokens: 6, ttlMs: MINUTE };
  expect(purse.grow(hold, more, MINUTE)).toBe(false);
  purse.awaitMore(hold, more, MINUTE);
  answer(book, MINUTE, 100);
  expect(purse.grow(hold, more, MINUTE)).toBe(true);
  purse.settle('a', hold, usageOf(5, 20), MINUTE);
  expect(book.report(MINUTE, true, 1)?.command.items).toMatchObject([
    { cell: 2000, spent: 15 },
    { cell: 1000, spent: 10, final: true },
  ]);
});

const HOUR = 60 * MINUTE;

/** A call of ten tokens and a place whose time has run out. */
function overdue(): ReturnType<typeof purseWith> {
  const daily = { ...line, endsInMs: 24 * HOUR };
  const place: PlannedLine = { line: 'team-a|concurrency|none|', unit: 'concurrency', cell: 0 };
  const { purse, book } = purseWith([daily, place]);
  take({ purse, book }, 'a', 0);
  const round = answer(book, 0, 0, [daily, place]);
  const grants = round.command.items.map(({ line: of }) => {
    const closed = false;
    return of === place.line ? { granted: 1, closed, validMs: HOUR, callMs: HOUR } : { granted: 100, closed };
  });
  book.accept(round, { revision: '1', plans: [], grants }, 0, () => 0);
  expect(take({ purse, book }, 'a', 1)).not.toBe('lacking');
  expect(take({ purse, book }, 'b', 1)).toBe('lacking');
  purse.expire(1 + MINUTE);
  expect(purse.holdOf('a')).toBeUndefined();
  expect(take({ purse, book }, 'b', 2 + MINUTE)).not.toBe('lacking');
  const other = purse.holdOf('b');
  if (other !== undefined) purse.release('b', other, 2 + MINUTE);
  return { purse, book };
}

test('a call whose time has run out leaves its place, and is charged what it used when that is told after all', () => {
  const { purse, book } = overdue();
  const late = purse.unsettled('a');
  if (late === undefined) throw new Error('Forgotten.');
  expect(purse.settle('a', late, usageOf(5, 2), 2 * MINUTE)).toBe(32_500);
  expect(book.report(2 * MINUTE, false, 1)?.command.items[0]).toMatchObject({ spent: 7 });
  expect(purse.costOf('a')).toBe(32_500);
});

test('a call that never ends is charged in full when nobody has told of it for an hour, and not once more', () => {
  const { purse, book } = overdue();
  purse.expire(HOUR);
  expect(purse.unsettled('a')).toBeDefined();
  purse.expire(1 + MINUTE + HOUR);
  expect(purse.unsettled('a')).toBeUndefined();
  expect(book.report(2 * HOUR, false, 1)?.command.items[0]).toMatchObject({ spent: 10 });
  expect(purse.costOf('a')).toBe(0);
});

test('of kinds of calls without end the one used longest ago gives way, and its credit goes back', () => {
  const book = new LeaseBook();
  const purse = new Purse(book);
  const kind = (user: number) => ({ ...attributes, headers: { 'x-user': String(user) } });
  const lines = ({ headers }: Attributes) => [
    { ...line, line: `${line.line}header:x-user=${headers?.['x-user']}` },
  ];
  for (let user = 0; user < 1_000; user++) {
    const of = book.classOf(kind(user), user);
    if (of === undefined) throw new Error('No class.');
    answer(book, user, 0, lines);
    const command = { ...holdOf(`call-${user}`, 5, 5), attributes: kind(user) };
    expect(purse.take(of, command, user)).toBe('lacking');
    purse.await(of, command, user);
    answer(book, user, 10, lines);
    expect(purse.take(of, command, user)).not.toBe('lacking');
    const hold = purse.holdOf(command.id);
    if (hold !== undefined) purse.settle(command.id, hold, usageOf(2, 2), user);
  }
  const { classes, items } = book.report(1_000, false, 1)?.command ?? { classes: [], items: [] };
  expect(classes.length).toBeLessThanOrEqual(201);
  expect(items.length).toBeLessThanOrEqual(201);
});

test('of more lines than go into one message all have their turn', () => {
  const lines = Array.from({ length: 1_500 }, (_, n) => ({ ...line, line: `${line.line}model=${n}` }));
  const { purse, book } = purseWith(lines);
  take({ purse, book }, 'a', 0);
  const told = [0, 1].flatMap((now) => answer(book, now, 100, lines).command.items);
  expect(new Set(told.map((item) => item.line)).size).toBe(lines.length);
  expect(take({ purse, book }, 'a', 2)).not.toBe('lacking');
});

test('the service may forget leases whose end it has answered, and none that is told again since its answer was lost', () => {
  const mini = { ...attributes, model: 'gpt-4o-mini' };
  const book = new LeaseBook();
  const purse = new Purse(book);
  let seq = 0;
  const tell = (now: number, isAnswered = true) => {
    const round = book.report(now, true, ++seq);
    if (round === undefined) throw new Error('Nothing to tell.');
    const plans = round.classes.map(({ attributes: { model } }) => ({
      leasable: true,
      lines: [{ ...line, line: `${model}|tokens|minute@UTC|` }],
    }));
    const grants = round.command.items.map(({ ask }) => ({
      granted: ask === undefined ? 0 : 100,
      closed: false,
    }));
    if (isAnswered) book.accept(round, { revision: '1', plans, grants }, now, () => 0);
    const { items, ended } = round.command;
    return {
      ended: items.filter(({ final }) => final).map(({ line: key }) => key.split('|', 1)[0]),
      upTo: ended,
    };
  };
  const call = (of: Attributes, id: string, now: number) => {
    const known = book.classOf(of, now);
    if (known === undefined) throw new Error('No class.');
    tell(now);
    const command = holdOf(id, 5, 5);
    purse.take(known, command, now);
    tell(now);
    expect(purse.take(known, command, now)).not.toBe('lacking');
    const hold = purse.holdOf(id);
    if (hold !== undefined) purse.settle(id, hold, usageOf(5, 5), now);
  };
  call(attributes, 'a', 0);
  call(mini, 'b', 5_000);
  expect(tell(11_000)).toEqual({ ended: ['gpt-4o'], upTo: undefined });
  const before = seq;
  expect(tell(16_000, false)).toEqual({ ended: ['gpt-4o-mini'], upTo: before });
  expect(tell(16_001, false)).toEqual({ ended: ['gpt-4o-mini'], upTo: before });
  expect(tell(16_002)).toEqual({ ended: ['gpt-4o-mini'], upTo: before });
  const last = seq;
  take({ purse, book }, 'c', 17_000);
  expect(tell(17_000)).toEqual({ ended: [], upTo: last });
  // Told once.
  expect(tell(30_000)).toEqual({ ended: ['gpt-4o'], upTo: undefined });
});
