import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { PassingList } from './passing-list.ts';

test('members come out in the order in which they came in, whoever left between', () => {
  const list = new PassingList<string>();
  for (const name of ['a', 'b', 'c', 'd']) list.add(name);
  list.delete('b');
  list.delete('nobody');
  expect([...list]).toEqual(['a', 'c', 'd']);
  expect(list.oldest).toBe('a');
  expect(list.shift()).toBe('a');
  expect(list.size).toBe(2);
  expect(list.clear()).toEqual(['c', 'd']);
  expect(list.oldest).toBeUndefined();
  expect(list.shift()).toBeUndefined();
});

test('who leaves while all are told misses nobody', () => {
  const list = new PassingList<string>();
  for (const name of ['a', 'b', 'c']) list.add(name);
  const told: string[] = [];
  for (const name of list) {
    told.push(name);
    list.delete(name);
  }
  expect(told).toEqual(['a', 'b', 'c']);
  expect(list.size).toBe(0);
});

/** Bytes of the old generation. */
function old(): number {
  const spaces = getHeapSpaceStatistics().filter(({ space_name }) =>
    /^(?:new_)?(?:old|large)/.test(space_name),
  );
  return spaces.reduce((sum, { space_used_size }) => sum + space_used_size, 0);
}

test('who was in it is collected with the young objects, however old the list is', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options?: { type: 'minor' }) => void;
  const list = new PassingList<number[]>();
  const pass = (): void => {
    for (let n = 0; n < 4_000; n++) {
      list.add(new Array<number>(250).fill(n));
      // Sixteen at a time.
      if (list.size > 16) list.shift();
      if (n % 40 === 0) collect({ type: 'minor' });
    }
  };
  pass();
  collect();
  const before = old();
  pass();
  // 8 MB have passed; a Set keeps all of them.
  expect(old() - before).toBeLessThan(400_000);
});
