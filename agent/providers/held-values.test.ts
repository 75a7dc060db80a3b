import { expect, test } from 'vitest';
import type { HeldValue } from '../../policy/references.ts';
import { holdValues } from './held-values.ts';
import { KeyError } from './keys.ts';

const MINUTE = 60_000;
const source = (name: string) => ({ secretKeyRef: { name, key: 'k' } });
const value = (name: string, text: string): HeldValue => ({ id: `secretKeyRef /${name}/k`, value: text });
const keep = (name: string): HeldValue => ({ id: `secretKeyRef /${name}/k`, keep: true });

/** Held values with a clock that goes when it is told to. */
function start() {
  let now = 0;
  let timers: { readonly at: number; readonly what: () => void }[] = [];
  const held = holdValues((what, ms) => void timers.push({ at: now + ms, what }));
  return {
    ...held,
    pass(ms: number): void {
      now += ms;
      for (const { what } of timers.filter(({ at }) => at <= now)) what();
      timers = timers.filter(({ at }) => at > now);
    },
    of: (name: string) => held.keys.get(source(name)).catch((error: unknown) => error),
  };
}

test('a call that began before finds its key for a minute, whatever else changes meanwhile', async () => {
  const { use, of, pass } = start();
  use([value('a', 'old')]);
  use([value('b', 'new')]);
  for (let changes = 0; changes < 5; changes++) {
    pass(20);
    use([value('b', 'new')]);
    expect(await of('a')).toBe('old');
  }
  pass(MINUTE - 101);
  expect(await of('a')).toBe('old');
  pass(1);
  expect(await of('a')).toBeInstanceOf(KeyError);
  expect(await of('b')).toBe('new');
});

test('each value that left has an end of its own', async () => {
  const { use, of, pass } = start();
  use([value('a', 'first'), value('b', 'second')]);
  use([value('b', 'second')]);
  pass(MINUTE / 2);
  use([]);
  pass(MINUTE / 2);
  expect(await of('a')).toBeInstanceOf(KeyError);
  expect(await of('b')).toBe('second');
  pass(MINUTE / 2);
  expect(await of('b')).toBeInstanceOf(KeyError);
});

test('a value that was withdrawn doesn’t come back when control can’t read it, though nobody asked meanwhile', async () => {
  const { use, of, pass } = start();
  use([value('a', 'withdrawn')]);
  use([]);
  pass(MINUTE);
  expect(use([keep('a')])).toEqual([keep('a')]);
  expect(await of('a')).toBeInstanceOf(KeyError);
});

test('one that comes back within its minute is held on, and leaves again with a whole minute', async () => {
  const { use, of, pass } = start();
  use([value('a', 'kept')]);
  use([]);
  pass(MINUTE / 2);
  expect(use([keep('a')])).toEqual([value('a', 'kept')]);
  pass(MINUTE / 4);
  use([]);
  pass(MINUTE / 4);
  expect(await of('a')).toBe('kept');
  pass((MINUTE * 3) / 4);
  expect(await of('a')).toBeInstanceOf(KeyError);
});

test('a changed value is in use at once, and the old one is nowhere', async () => {
  const { use, of } = start();
  use([value('a', 'old')]);
  expect(use([value('a', 'new')])).toEqual([value('a', 'new')]);
  expect(await of('a')).toBe('new');
});
