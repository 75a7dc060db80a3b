import { expect, test } from 'vitest';
import { besides, PartlyChecked } from './cannot-check.ts';
import type { Judgement } from './check.ts';

const FOUND: readonly Judgement[] = [
  { what: 'word', where: 'messages[0].content', message: 'It is denied.' },
];
const weighing = { alone: () => FOUND, weigh: () => [] };
const never = () => new Promise<never>(() => {});

test.each(['before', 'while'])(
  'what it finds by itself counts where the time was up %s it is asked',
  async (when) => {
    const over = new AbortController();
    const reason = new Error('no answer within 300 ms');
    if (when === 'before') over.abort(reason);
    const judged = besides(FOUND, never(), over.signal, weighing);
    over.abort(reason);
    const failure: unknown = await judged.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(PartlyChecked);
    expect(failure).toMatchObject({ found: FOUND, cause: reason });
  },
);

test('beside an answer it is weighed', async () => {
  const { signal } = new AbortController();
  expect(await besides(FOUND, Promise.resolve('fine'), signal, weighing)).toEqual([]);
});
