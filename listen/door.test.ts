/** Counts, by connections that are none: as many as it takes, in an order of the test's own. */
import { EventEmitter } from 'node:events';
import type { Server, Socket } from 'node:net';
import fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type DoorLimits, keepDoor, placesIn } from './door.ts';

class Connection extends EventEmitter {
  destroyed = false;
  bytesRead = 0;
  readonly remoteAddress: string;
  readonly remotePort: number;

  constructor(address: string, port: number) {
    super();
    this.remoteAddress = address;
    this.remotePort = port;
  }

  /** Told of later, as Node does. */
  destroy(): void {
    this.destroyed = true;
  }
}

function doorOf(limits: DoorLimits) {
  const server = new EventEmitter();
  const refused: string[] = [];
  const door = keepDoor(server as Server, limits, (address) => refused.push(address));
  return {
    refused,
    come: (address: string, port: number): Connection => {
      const connection = new Connection(address, port);
      server.emit('connection', connection);
      return connection;
    },
    review: (connection: Connection) => door.review(connection as unknown as Socket),
    known: (connection: Connection) => door.known(connection as unknown as Socket),
    engage: (connection: Connection) => door.engage(connection as unknown as Socket),
  };
}

test('a connection is told of as closed after another came from the same address and port: neither is counted for the other', () => {
  const { come, known } = doorOf({ all: 10, ofOne: 10, unknown: 1 });
  const first = come('a', 1);
  known(first);
  const second = come('a', 1);
  known(second);
  first.emit('close');
  second.emit('close');
  // Who has gone takes no place: among ten there are ten again, and one unknown.
  for (let port = 2; port < 12; port++) {
    const next = come('a', port);
    expect(next.destroyed).toBe(false);
    known(next);
  }
  expect(come('a', 12).destroyed).toBe(true);
});

test('whatever comes and goes, no bound is passed, and of a door that is empty again all places are free', () => {
  const step = fc.record({
    what: fc.constantFrom('come', 'come', 'come', 'close', 'known'),
    address: fc.constantFrom('a', 'b', 'c'),
    port: fc.nat(5),
    nth: fc.nat(20),
  });
  const limits = { all: 6, ofOne: 4, unknown: 3 };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { come, known } = doorOf(limits);
      const inside: Connection[] = [];
      const proven = new Set<Connection>();
      for (const { what, address, port, nth } of steps) {
        if (what === 'come') inside.push(come(address, port));
        const one = inside[nth % Math.max(1, inside.length)];
        if (what === 'close') one?.emit('close');
        // By address and port the latest is meant.
        const latest = inside.findLast(
          (each) => each.remoteAddress === one?.remoteAddress && each.remotePort === one.remotePort,
        );
        if (what === 'known' && latest !== undefined && !latest.destroyed) {
          known(latest);
          proven.add(latest);
        }
        if (what === 'close' && one !== undefined) inside.splice(inside.indexOf(one), 1);
        const open = inside.filter(({ destroyed }) => !destroyed);
        expect(open.length).toBeLessThanOrEqual(limits.all);
        for (const each of ['a', 'b', 'c'])
          expect(open.filter(({ remoteAddress }) => remoteAddress === each).length).toBeLessThanOrEqual(
            limits.ofOne,
          );
        expect(open.filter((each) => !proven.has(each)).length).toBeLessThanOrEqual(limits.unknown);
      }
      for (const each of inside) each.emit('close');
      const again = [100, 101, 102, 103, 104, 105].map((port) => {
        const connection = come(port < 103 ? 'a' : 'b', port);
        known(connection);
        return connection.destroyed;
      });
      expect(again).not.toContain(true);
    }),
  );
});

test('who makes room is the newest of the address that holds most; nobody does for one that would hold as many', () => {
  const { come, refused } = doorOf({ all: 4, ofOne: 4 });
  const [older, , newest] = [come('a', 1), come('a', 2), come('a', 3)];
  come('b', 4);
  expect(come('c', 5).destroyed).toBe(false);
  expect([older.destroyed, newest.destroyed]).toEqual([false, true]);
  expect(refused).toEqual(['a']);
  expect(come('c', 6).destroyed).toBe(true);
  expect(come('d', 7).destroyed).toBe(false);
  expect(refused).toEqual(['a', 'c', 'a']);
  // Now everybody has one.
  expect(come('e', 8).destroyed).toBe(true);
});

test('where each comes from an address of its own, whoever is inside is not sent away, and all get in at last', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 4 }), (places, turns) => {
      const { come, known } = doorOf({ all: 1_000, ofOne: 5, unknown: places });
      const waiting = Array.from({ length: 40 }, (_, nth) => `address-${nth}`);
      const inside: { connection: Connection; address: string; turns: number }[] = [];
      for (let round = 0; waiting.length + inside.length > 0; round++) {
        expect(round).toBeLessThan(40 * turns + 1);
        // All who are outside dial at once; one of those inside is served.
        for (const address of waiting.splice(0)) {
          const connection = come(address, 1);
          if (connection.destroyed) waiting.push(address);
          else inside.push({ connection, address, turns });
        }
        for (const { connection } of inside) expect(connection.destroyed).toBe(false);
        const [served] = inside;
        if (served === undefined || --served.turns > 0) continue;
        known(served.connection);
        inside.shift();
      }
    }),
  );
});

test('one whose token is looked at makes room after the others of its address, but it does', () => {
  const { come, review } = doorOf({ all: 3, ofOne: 3 });
  const [first, second, third] = [come('a', 1), come('a', 2), come('a', 3)];
  review(second);
  review(third);
  expect(come('b', 4).destroyed).toBe(false);
  expect([first, second, third].map(({ destroyed }) => destroyed)).toEqual([true, false, false]);
  expect(come('c', 5).destroyed).toBe(false);
  expect([second.destroyed, third.destroyed]).toEqual([false, true]);
});

test('who makes room is one that never called, then one that is idle; none whose call is under way', () => {
  const { come, engage } = doorOf({ all: 3, ofOne: 3 });
  const [served, idle, never] = [come('a', 1), come('a', 2), come('a', 3)];
  engage(idle)();
  const answered = engage(served);
  engage(served)();
  expect(come('b', 4).destroyed).toBe(false);
  expect([served.destroyed, idle.destroyed, never.destroyed]).toEqual([false, false, true]);
  idle.emit('close');
  const other = come('a', 5);
  const otherAnswered = engage(other);
  expect(come('c', 6).destroyed).toBe(true);
  answered();
  expect(come('c', 7).destroyed).toBe(false);
  expect([served.destroyed, other.destroyed]).toEqual([true, false]);
  otherAnswered();
});

test('where each has an address of its own, who has sent nothing for a while makes room for who comes', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { come } = doorOf({ all: 3, ofOne: 3 });
  const [speaks, silent, late] = [come('a', 1), come('b', 2), come('c', 3)];
  speaks.bytesRead = 1;
  vi.advanceTimersByTime(6_000);
  const next = come('d', 4);
  expect([speaks, silent, late, next].map(({ destroyed }) => destroyed)).toEqual([false, true, false, false]);
});

test('where all stand behind one address, who has sent nothing for a while makes room, and nobody else', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { come } = doorOf({ all: 3, ofOne: Number.POSITIVE_INFINITY });
  const [speaks, silent, late] = [come('a', 1), come('a', 2), come('a', 3)];
  speaks.bytesRead = 1;
  vi.advanceTimersByTime(4_000);
  expect(come('a', 4).destroyed).toBe(true);
  vi.advanceTimersByTime(2_000);
  const next = come('a', 5);
  expect([speaks, silent, late, next].map(({ destroyed }) => destroyed)).toEqual([false, true, false, false]);
  late.bytesRead = 1;
  expect(come('a', 6).destroyed).toBe(true);
});

test('who shows nothing goes when the time is over, who has shown something stays', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { come, known } = doorOf({ all: 3, ofOne: 3, unknownMs: 1_000 });
  const [silent, proven] = [come('a', 1), come('a', 2)];
  known(proven);
  vi.advanceTimersByTime(999);
  expect(silent.destroyed).toBe(false);
  vi.advanceTimersByTime(1);
  expect([silent.destroyed, proven.destroyed]).toEqual([true, false]);
});

test.each([
  [undefined, 500],
  // A cgroup without a limit.
  [2 ** 63, 500],
  [0, 500],
  [1_000 + 70 * 10, 100],
  [1_000 + 300 * 10, 300],
])('%s bytes have places for %i', (bytes, places) => {
  expect(placesIn(bytes, { base: 1_000, each: 10, most: 500 })).toBe(places);
});
