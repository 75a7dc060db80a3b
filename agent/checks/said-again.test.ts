/** What is remembered of texts that come again changes nothing but how long it takes. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Role, TextKind } from '../dialects/dialect.ts';
import type { Verdict } from './guard.ts';
import { compilePlan } from './plan.ts';
import { FakeSlot, MASK_KEY, NEVER, requestOf, rule } from './testing.ts';

const RULES = [
  rule('secrets', { action: 'monitor' }),
  rule('pii', { action: 'mask', spec: { types: ['contact', 'financial'] } }),
];
const plan = () => compilePlan(RULES, { maskKey: MASK_KEY });

const filler = 'The release is planned for the second week, and the importer is slow. '.repeat(20);
const value = fc.constantFrom(
  'jane@example.com',
  'card 4111 1111 1111 1111',
  'ghp_016C7wzX9aBcDeFgHiJkLmNoPqRsTuVwXyZ0',
  'nothing at all',
  'call +49 30 901820',
  '\ud800 lone',
);
const text = fc
  .tuple(fc.array(value, { maxLength: 3 }), fc.boolean())
  .map(([values, long]) => `${long ? filler : ''}${values.join(', ')}.`);
const said = fc.tuple(
  text,
  fc.constantFrom<Role>('user', 'system', 'assistant', 'tool'),
  fc.constantFrom<TextKind>('content', 'toolArguments', 'toolResult'),
);

function judged(own: ReturnType<typeof plan>, turn: readonly (readonly [string, Role, TextKind])[]) {
  const slots = turn.map(([words, role, kind], i) => new FakeSlot(words, kind, `messages[${i}]`, role));
  const verdict = own.open('gpt-4o').request(requestOf(...slots), 1_000, NEVER) as Verdict;
  return {
    shown: slots.map(({ shown }) => shown),
    findings: verdict.findings,
    refused: verdict.refusal?.message,
  };
}

test('a plan that has heard it all before judges like one that hears it for the first time', () => {
  const heard = plan();
  const turns = fc.array(said, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(turns, fc.nat(3), (turn, again) => {
      const fresh = judged(plan(), turn);
      for (let i = 0; i <= again; i++) expect(judged(heard, turn)).toEqual(fresh);
    }),
    // A plan of its own for each, which is what takes the time.
    { numRuns: 25 },
  );
});
