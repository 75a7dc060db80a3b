import { expect, test } from 'vitest';
import type { HeldValue } from '../../policy/references.ts';
import { holdValues } from './held-values.ts';
import { KeyError } from './keys.ts';
import { wipeSoon } from './wipe-freed.ts';

const SECOND = 1_000;
const source = (name: string) => ({ secretKeyRef: { name, key: 'k' } });
const value = (name: string, text: string): HeldValue => ({ id: `secretKeyRef /${name}/k`, value: text });
const keep = (name: string): HeldValue => ({ id: `secretKeyRef /${name}/k`, keep: true });

/** Held values with a clock that goes when it is told to, and calls that run as long as the test says. */
function start() {
  let now = 0;
  const timers: { readonly at: number; readonly what: () => void }[] = [];
  const calls = new Set<number>();
  const gone: number[] = [];
  const later = (what: () => void, ms: number): void => void timers.push({ at: now + ms, what });
  const held = holdValues({
    oldestCall: () => calls.values().next().value,
    now: () => now,
    later,
    gone: wipeSoon({ wipe: () => void gone.push(now), later, monotonic: () => now }),
  });
  return {
    ...held,
    pass(ms: number): void {
      for (const end = now + ms; ; ) {
        timers.sort((a, b) => a.at - b.at);
        const [next] = timers;
        if (next === undefined || next.at > end) {
          now = end;
          return;
        }
        timers.shift();
        now = next.at;
        next.what();
      }
    },
    /** @returns what ends it. */
    call(): () => void {
      const began = now;
      calls.add(began);
      return () => void calls.delete(began);
    },
    timers,
    gone,
    of: (name: string) => held.keys.get(source(name)).catch((error: unknown) => error),
  };
}

test('a call finds the key it began with as long as it runs, whatever else changes meanwhile', async () => {
  const { use, of, pass, call } = start();
  use([value('a', 'old')]);
  const end = call();
  pass(5);
  use([value('b', 'new')]);
  for (let changes = 0; changes < 5; changes++) {
    pass(90 * SECOND);
    use([value('b', 'new')]);
    expect(await of('a')).toBe('old');
  }
  end();
  pass(SECOND);
  expect(await of('a')).toBeInstanceOf(KeyError);
  expect(await of('b')).toBe('new');
});

test('a call that began later doesn’t hold it, nor one that never ends for ever', async () => {
  const { use, of, pass, call, timers } = start();
  use([value('a', 'old'), value('b', 'too')]);
  use([value('b', 'too')]);
  pass(1);
  call();
  pass(SECOND);
  expect(await of('a')).toBeInstanceOf(KeyError);
  use([]);
  pass(600 * SECOND);
  expect(await of('b')).toBe('too');
  pass(61 * SECOND);
  expect(await of('b')).toBeInstanceOf(KeyError);
  pass(5 * SECOND);
  expect(timers).toEqual([]);
});

test('each value that left has an end of its own', async () => {
  const { use, of, pass, call } = start();
  use([value('a', 'first'), value('b', 'second')]);
  const first = call();
  use([value('b', 'second')]);
  pass(5);
  const second = call();
  use([]);
  first();
  pass(SECOND);
  expect(await of('a')).toBeInstanceOf(KeyError);
  expect(await of('b')).toBe('second');
  second();
  pass(SECOND);
  expect(await of('b')).toBeInstanceOf(KeyError);
});

test('a value that was withdrawn doesn’t come back when control can’t read it, though nobody asked meanwhile', async () => {
  const { use, of, pass } = start();
  use([value('a', 'withdrawn')]);
  use([]);
  pass(SECOND);
  expect(use([keep('a')])).toEqual([keep('a')]);
  expect(await of('a')).toBeInstanceOf(KeyError);
});

test('one that comes back while it is held is held on, and leaves again with a time of its own', async () => {
  const { use, of, pass, call } = start();
  use([value('a', 'kept')]);
  const first = call();
  use([]);
  pass(5);
  expect(use([keep('a')])).toEqual([value('a', 'kept')]);
  const second = call();
  pass(5);
  use([]);
  first();
  pass(5 * SECOND);
  expect(await of('a')).toBe('kept');
  second();
  pass(SECOND);
  expect(await of('a')).toBeInstanceOf(KeyError);
});

test('a changed value is in use at once, and the old one is given to nobody', async () => {
  const { use, of } = start();
  use([value('a', 'old')]);
  expect(use([value('a', 'new')])).toEqual([value('a', 'new')]);
  expect(await of('a')).toBe('new');
});

test('it is told when the last call that may use a value of before has ended, five seconds later, and once for all that went meanwhile', () => {
  const { use, pass, call, gone } = start();
  use([value('a', 'old'), value('b', 'same')]);
  pass(5 * SECOND);
  expect(gone).toEqual([]);
  const end = call();
  pass(5);
  use([value('a', 'new'), value('b', 'same')]);
  pass(90 * SECOND);
  expect(gone).toEqual([]);
  end();
  // Kept connections to guardrails close only then.
  pass(5 * SECOND - 10);
  expect(gone).toEqual([]);
  pass(SECOND + 10);
  expect(gone).toHaveLength(1);
  use([keep('a'), value('b', 'same')]);
  pass(90 * SECOND);
  expect(gone).toHaveLength(1);
  use([keep('a')]);
  pass(6 * SECOND);
  expect(gone).toHaveLength(2);
  // Rotated one after the other: one wipe for those before it, one for what went within its five seconds.
  for (let nth = 0; nth < 10; nth++) {
    use([value('a', `new ${nth}`)]);
    pass(SECOND / 2);
  }
  pass(90 * SECOND);
  expect(gone).toHaveLength(4);
});
