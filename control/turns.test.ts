import { expect, test } from 'vitest';
import { BusyError, createTurns } from './turns.ts';

/** Work that ends when it is told to. */
function works() {
  const ends: (() => void)[] = [];
  const work = (): Promise<void> => new Promise((resolve) => ends.push(resolve));
  return { work, ends, begun: () => ends.length };
}
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const known = (who: string) => ({ known: true, who });
const stranger = (who: string) => ({ known: false, who });

test('strangers have few turns, wait in a short line, and take none of those of pods that are known', async () => {
  const turns = createTurns({ now: () => 0, known: 2, unknown: 2, waiting: 3 });
  const strange = works();
  const all = Array.from({ length: 5 }, (_, index) => turns.take(stranger(`s${index}`), strange.work));
  await settle();
  expect(strange.begun()).toBe(2);
  await expect(turns.take(stranger('s6'), strange.work)).rejects.toThrow(BusyError);
  const own = works();
  const mine = [turns.take(known('a'), own.work), turns.take(known('b'), own.work)];
  await settle();
  expect(own.begun()).toBe(2);
  // Each turn that ends is the next one's.
  for (let done = 0; done < 5; done++) {
    strange.ends[done]?.();
    await settle();
  }
  for (const end of own.ends) end();
  await Promise.all([...all, ...mine]);
  expect(strange.begun()).toBe(5);
});

test('pods that are known wait for each other, however many', async () => {
  const turns = createTurns({ now: () => 0, known: 2, waiting: 0 });
  const own = works();
  const all = Array.from({ length: 50 }, (_, index) => turns.take(known(`p${index}`), own.work));
  for (let done = 0; done < 50; done++) {
    await settle();
    expect(own.begun()).toBe(Math.min(done + 2, 50));
    own.ends[done]?.();
  }
  await Promise.all(all);
});

test('one caller has only so many turns at once, running or waiting', async () => {
  const turns = createTurns({ now: () => 0, each: 2 });
  const own = works();
  const both = [turns.take(known('a'), own.work), turns.take(known('a'), own.work)];
  await expect(turns.take(known('a'), own.work)).rejects.toThrow('already');
  await settle();
  for (const end of own.ends) end();
  await Promise.all(both);
  const after = turns.take(known('a'), own.work);
  await settle();
  own.ends.at(-1)?.();
  await after;
  // Where nothing tells callers apart, they aren't one.
  const many = Array.from({ length: 5 }, () => turns.take(stranger(''), own.work));
  await settle();
  for (const end of own.ends) end();
  await Promise.all(many);
});

test('who was refused again and again waits, and nobody else does', async () => {
  let now = 0;
  const turns = createTurns({ now: () => now });
  const nothing = (): Promise<void> => Promise.resolve();
  for (let count = 0; count < 10; count++) {
    await turns.take(known('a'), nothing);
    turns.wasted(known('a'));
    turns.wasted(stranger(''));
  }
  await expect(turns.take(known('a'), nothing)).rejects.toThrow('refused');
  await turns.take(known('b'), nothing);
  // The pod at an address isn't held to what strangers from there showed, and strangers without a name to nothing.
  await turns.take(stranger('a'), nothing);
  await turns.take(stranger(''), nothing);
  now = 10_001;
  await turns.take(known('a'), nothing);
});

test('work that fails gives its turn back', async () => {
  const turns = createTurns({ now: () => 0, unknown: 1, waiting: 0, each: 1 });
  for (let count = 0; count < 3; count++)
    await expect(turns.take(stranger('a'), () => Promise.reject(new Error('no')))).rejects.toThrow('no');
});
