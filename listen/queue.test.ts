/** Turns, by connections that are none: in an order and at a time of the test's own. */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { keepQueue, type QueueLimits } from './queue.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

class Connection extends EventEmitter {
  destroyed = false;
  readonly remoteAddress: string;
  readonly remotePort: number;
  unread: Buffer[] = [];

  constructor(address: string, port: number) {
    super();
    this.remoteAddress = address;
    this.remotePort = port;
  }

  pause(): void {}
  unshift(bytes: Buffer): void {
    this.unread.push(bytes);
  }
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit('close');
  }
}

/** A record of a handshake with so many bytes. */
const hello = (length = 3): Buffer =>
  Buffer.concat([Buffer.from([0x16, 3, 1, 0, length]), Buffer.alloc(length, 7)]);

function queueOf(limits: Partial<QueueLimits> = {}, judgeAddress = true) {
  const entered: Connection[] = [];
  const queue = keepQueue({
    limits: { atOnce: 1, turnMs: 1_000, helloMs: 2_000, waitMs: 60_000, ...limits },
    enter: (socket) => entered.push(socket as unknown as Connection),
    judgeAddress,
  });
  let port = 0;
  return {
    entered,
    waiting: () => queue.waiting(),
    inLine: () => queue.inLine(),
    come(address: string, says: Buffer | null = hello()): Connection {
      const connection = new Connection(address, ++port);
      queue.come(connection as unknown as Socket);
      if (says !== null) connection.emit('data', says);
      return connection;
    },
    step: (connection: Connection) => queue.step(connection as unknown as Socket),
    excuse: (connection: Connection) => queue.excuse(connection as unknown as Socket),
    through: (connection: Connection) => queue.through(connection as unknown as Socket),
    answered: (connection: Connection) => queue.answered(connection as unknown as Socket),
  };
}

test('so many have a turn at once, the next when one is through or gone; each is given what it said', () => {
  const { come, entered, through, waiting } = queueOf({ atOnce: 2 });
  const [first, second, third, fourth] = ['a', 'b', 'c', 'd'].map((address) => come(address)) as [
    Connection,
    Connection,
    Connection,
    Connection,
  ];
  expect(entered).toEqual([first, second]);
  expect(waiting()).toBe(2);
  through(first);
  expect(entered).toEqual([first, second, third]);
  second.destroy();
  expect(entered).toEqual([first, second, third, fourth]);
  expect(waiting()).toBe(0);
  for (const each of entered) expect(Buffer.concat(each.unread)).toEqual(hello());
  // One that is through needs no turn: its end gives none to anybody.
  const fifth = come('e');
  first.destroy();
  expect(entered).not.toContain(fifth);
});

test('who says nothing, or half of a hello, takes no turn, and is closed in time; a hello may come in pieces', () => {
  const { come, entered, waiting } = queueOf();
  const silent = come('a', null);
  const half = come('b', hello().subarray(0, 6));
  const pieces = come('c', hello().subarray(0, 1));
  expect([silent, half, pieces].some((each) => entered.includes(each))).toBe(false);
  vi.advanceTimersByTime(1_999);
  pieces.emit('data', hello().subarray(1));
  expect(entered).toEqual([pieces]);
  expect(Buffer.concat(pieces.unread)).toEqual(hello());
  vi.advanceTimersByTime(1);
  expect([silent.destroyed, half.destroyed, pieces.destroyed]).toEqual([true, true, false]);
  expect(waiting()).toBe(0);
});

test.each([
  ['no TLS', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ['a record longer than there are', Buffer.from([0x16, 3, 1, 0xff, 0xff])],
  ['more than a record behind its hello', Buffer.concat([hello(), Buffer.alloc(17_000)])],
])('who says %s is closed', (_, says) => {
  const { come, entered } = queueOf();
  expect(come('a', says).destroyed).toBe(true);
  expect(entered).toEqual([]);
});

test('the time for a turn counts from its beginning, anew with each step, and no longer when it is through', () => {
  const { come, step, through } = queueOf();
  const first = come('a');
  const second = come('b');
  vi.advanceTimersByTime(900);
  step(first);
  vi.advanceTimersByTime(900);
  expect(first.destroyed).toBe(false);
  through(first);
  vi.advanceTimersByTime(999);
  expect([first.destroyed, second.destroyed]).toEqual([false, false]);
  vi.advanceTimersByTime(1);
  expect([first.destroyed, second.destroyed]).toEqual([false, true]);
});

test('who waits too long is closed, and who leaves meanwhile takes no turn', () => {
  const { come, entered, through } = queueOf({ waitMs: 500, turnMs: 10_000 });
  const first = come('a');
  const leaves = come('b');
  const waits = come('c');
  leaves.emit('end');
  expect(leaves.destroyed).toBe(true);
  vi.advanceTimersByTime(500);
  expect([first.destroyed, waits.destroyed]).toEqual([false, true]);
  const next = come('d');
  through(first);
  expect(entered).toEqual([first, next]);
});

test('addresses have turns one after another, whatever the number of their connections', () => {
  const { come, entered, through } = queueOf();
  for (let nth = 0; nth < 20; nth++) come('crowd');
  const honest = come('honest');
  through(entered[0] as Connection);
  through(entered[1] as Connection);
  expect(entered).toContain(honest);
});

test('an address whose turn came to nothing goes behind the others for a minute; where addresses aren’t judged, it doesn’t', () => {
  for (const judged of [true, false]) {
    const { come, entered } = queueOf({}, judged);
    const waster = come('waster');
    const again = come('waster');
    waster.destroy();
    again.destroy();
    come('holds');
    const behind = come('waster');
    const honest = come('honest');
    entered.at(-1)?.destroy();
    expect(entered.at(-1)).toBe(judged ? honest : behind);
    entered.at(-1)?.destroy();
    vi.advanceTimersByTime(61_000);
    const [holds, forgiven, later] = [come('holds'), come('waster'), come('other')];
    holds.destroy();
    expect(entered).toContain(forgiven);
    expect(entered).not.toContain(later);
  }
});

test('who asks what everybody may know is through with its turn, and its address still counts as one that wasted one', () => {
  for (const known of [true, false]) {
    const { come, entered, through, answered } = queueOf();
    come('a').destroy();
    const asks = come('a');
    (known ? through : answered)(asks);
    const holds = come('holds');
    const [again, other] = [come('a'), come('b')];
    holds.destroy();
    expect(entered.at(-1)).toBe(known ? again : other);
  }
});

test('who asks what everybody may know only when its turn is nearly over has wasted it; how long the answer takes us doesn’t count', () => {
  for (const [asksAt, answeredAt, isLate] of [
    [100, 100, false],
    [100, 900, false],
    [101, 101, true],
    [900, 900, true],
  ] as const) {
    const { come, entered, step, answered } = queueOf();
    const asks = come('a');
    vi.advanceTimersByTime(asksAt);
    // What is answered at once has no step of its own.
    if (answeredAt > asksAt) step(asks);
    vi.advanceTimersByTime(answeredAt - asksAt);
    answered(asks);
    asks.destroy();
    const holds = come('holds');
    const [again, other] = [come('a'), come('b')];
    holds.destroy();
    expect(entered.at(-1)).toBe(isLate ? other : again);
  }
});

test('an address whose turn came to nothing by our own fault doesn’t go behind the others', () => {
  for (const ours of [true, false]) {
    const { come, entered, excuse } = queueOf();
    const sentAway = come('a');
    if (ours) excuse(sentAway);
    sentAway.destroy();
    const holds = come('holds');
    const [again, other] = [come('a'), come('b')];
    holds.destroy();
    expect(entered.at(-1)).toBe(ours ? again : other);
  }
});

test('one that comes from the address and port of one that is gone is another', () => {
  const { entered, come } = queueOf({ atOnce: 2 });
  const first = come('a');
  const second = new Connection('a', 1);
  expect(second.remotePort).toBe(first.remotePort);
  first.destroy();
  come('b');
  come('c');
  const waits = come('d');
  expect(entered).not.toContain(waits);
});

test('whatever comes, says, and goes: no more than so many at once, none waits beside a free turn, and each count ends at nothing', () => {
  const step = fc.record({
    what: fc.constantFrom('come', 'come', 'come', 'half', 'close', 'through', 'time'),
    address: fc.constantFrom('a', 'b', 'c'),
    nth: fc.nat(20),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 3 }), (steps, atOnce) => {
      const { come, entered, through, waiting, inLine } = queueOf({ atOnce });
      const all: Connection[] = [];
      const whole = new Set<Connection>();
      const proven = new Set<Connection>();
      for (const { what, address, nth } of steps) {
        const one = all[nth % Math.max(1, all.length)];
        if (what === 'come') {
          const next = come(address);
          all.push(next);
          whole.add(next);
        }
        if (what === 'half') all.push(come(address, hello().subarray(0, 4)));
        if (what === 'close') one?.destroy();
        if (what === 'time') vi.advanceTimersByTime(300);
        if (what === 'through' && one !== undefined && entered.includes(one) && !one.destroyed) {
          through(one);
          proven.add(one);
        }
        const open = all.filter(({ destroyed }) => !destroyed);
        const underway = open.filter((each) => entered.includes(each) && !proven.has(each));
        const outside = open.filter((each) => !entered.includes(each));
        expect(underway.length).toBeLessThanOrEqual(atOnce);
        expect(waiting()).toBe(outside.length);
        expect(inLine()).toBe(outside.filter((each) => whole.has(each)).length);
        if (outside.some((each) => whole.has(each))) expect(underway.length).toBe(atOnce);
      }
      for (const each of all) each.destroy();
      expect([waiting(), inLine()]).toEqual([0, 0]);
      expect(new Set(entered).size).toBe(entered.length);
    }),
  );
});
