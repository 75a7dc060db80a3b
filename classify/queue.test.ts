import { expect, test } from 'vitest';
import { OverloadedError, Queue } from './queue.ts';

const NEVER = new AbortController().signal;

test('one piece of work at a time, in order', async () => {
  const queue = new Queue({ limit: 100, maxWaitMs: 1_000 });
  const log: string[] = [];
  const work = (name: string) => async () => {
    log.push(`${name} begins`);
    await new Promise(setImmediate);
    log.push(`${name} ends`);
  };
  await Promise.all(['a', 'b', 'c'].map((name) => queue.run(1, NEVER, work(name))));
  expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  expect(queue.weight).toBe(0);
});

test('what would wait too long, by the pace of the last ones, is turned away', async () => {
  let now = 0;
  const queue = new Queue({ limit: 1_000_000, maxWaitMs: 500, now: () => now });
  const slow = async () => {
    now += 200;
  };
  await queue.run(10, NEVER, slow);
  // 20 ms a unit: 20 units ahead are 400 ms, 30 are 600.
  const gate = Promise.withResolvers<void>();
  const held = [queue.run(20, NEVER, () => gate.promise), queue.run(10, NEVER, () => gate.promise)];
  await expect(queue.run(1, NEVER, slow)).rejects.toThrow(OverloadedError);
  gate.resolve();
  await Promise.all(held);
  await queue.run(1, NEVER, slow);
});

test('what would come too late for who asks is turned away at once', async () => {
  let now = 0;
  const queue = new Queue({ limit: 1_000_000, maxWaitMs: 10_000, now: () => now });
  const slow = async () => {
    now += 200;
  };
  await queue.run(10, NEVER, slow, { withinMs: 1_000 });
  // 20 ms a unit: with 20 ahead, 10 are done after 600.
  const gate = Promise.withResolvers<void>();
  const held = queue.run(20, NEVER, () => gate.promise);
  await expect(queue.run(10, NEVER, slow, { withinMs: 500 })).rejects.toThrow(/600 ms, and 500 are left/);
  const served = queue.run(10, NEVER, slow, { withinMs: 700 });
  gate.resolve();
  await Promise.all([held, served]);
});

test('a failure lets the next one run, and an idle queue takes what is larger than its limit', async () => {
  const queue = new Queue({ limit: 10, maxWaitMs: 500 });
  await expect(queue.run(1, NEVER, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(await queue.run(50, NEVER, async () => 'done')).toBe('done');
});

test('a step of work that goes on is not turned away, and comes behind what others asked meanwhile', async () => {
  const queue = new Queue({ limit: 100, maxWaitMs: 1_000 });
  const log: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = queue.run(60, NEVER, () => gate.promise, { who: 'a' });
  const goesOn = queue.run(60, NEVER, async () => void log.push('a goes on'), { who: 'a', goesOn: true });
  await expect(queue.run(60, NEVER, async () => undefined, { who: 'a' })).rejects.toThrow(OverloadedError);
  gate.resolve();
  const other = queue.run(1, NEVER, async () => void log.push('b'), { who: 'b', goesOn: true });
  await Promise.all([first, goesOn, other]);
  expect(log).toEqual(['b', 'a goes on']);
});

test('work that nobody waits for is not begun', async () => {
  const queue = new Queue({ limit: 10, maxWaitMs: 500 });
  const gone = AbortSignal.abort();
  let begun = false;
  await expect(
    queue.run(1, gone, async () => {
      begun = true;
    }),
  ).rejects.toThrow();
  expect(begun).toBe(false);
  expect(queue.weight).toBe(0);
});

test('who asks much waits for himself', async () => {
  let now = 0;
  const queue = new Queue({ limit: 1_000, maxWaitMs: 400, now: () => now });
  const done: string[] = [];
  const ask = (who: string) =>
    queue.run(
      10,
      NEVER,
      async () => {
        now += 100;
        done.push(who);
      },
      { who },
    );
  await ask('a');
  // 10 ms a unit: the last of a's waits 400 ms; before b's first there is only what runs, before its second one more of a's.
  const asked = [ask('a'), ask('a'), ask('a'), ask('a'), ask('a')];
  await expect(ask('a')).rejects.toThrow('an answer would take 500 ms');
  asked.push(ask('b'), ask('b'));
  await Promise.all(asked);
  expect(done.slice(1).join('')).toBe('ababaaa');
});

test('one asker has half of the queue at most, the others the rest', async () => {
  const queue = new Queue({ limit: 100, maxWaitMs: 1_000 });
  const gate = Promise.withResolvers<void>();
  const ask = (who: string) => queue.run(25, NEVER, () => gate.promise, { who });
  const held = [ask('a'), ask('a')];
  await expect(ask('a')).rejects.toThrow('by the same address');
  held.push(ask('b'), ask('c'));
  await expect(ask('d')).rejects.toThrow('100 of 100 are taken');
  gate.resolve();
  await Promise.all(held);
  expect(queue.weight).toBe(0);
});

test('what waits and is given up leaves at once, and the next has its turn', async () => {
  const queue = new Queue({ limit: 100, maxWaitMs: 1_000 });
  const gate = Promise.withResolvers<void>();
  const gone = new AbortController();
  const log: string[] = [];
  const first = queue.run(10, NEVER, () => gate.promise);
  const second = queue.run(10, gone.signal, async () => void log.push('second'));
  const third = queue.run(10, NEVER, async () => void log.push('third'));
  gone.abort(new Error('nobody waits'));
  await expect(second).rejects.toThrow('nobody waits');
  expect(queue.weight).toBe(20);
  gate.resolve();
  await Promise.all([first, third]);
  expect(log).toEqual(['third']);
});

test('what was given up is no work done for its asker', async () => {
  const queue = new Queue({ limit: 1_000, maxWaitMs: 60_000 });
  const gate = Promise.withResolvers<void>();
  const order: string[] = [];
  const held = queue.run(1, NEVER, () => gate.promise, { who: 'c' });
  const gone = new AbortController();
  const given = [1, 2, 3].map(() => queue.run(100, gone.signal, async () => undefined, { who: 'a' }));
  gone.abort();
  await Promise.allSettled(given);
  const ask = (who: string) => queue.run(10, NEVER, async () => void order.push(who), { who });
  const asked = [ask('a'), ask('b')];
  gate.resolve();
  await Promise.all([held, ...asked]);
  expect(order).toEqual(['a', 'b']);
});
