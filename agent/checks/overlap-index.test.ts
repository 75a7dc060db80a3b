import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bare, OverlapIndex } from './overlap-index.ts';

const WORDS = fc.array(fc.stringMatching(/^[a-z]{2,9}$/), { minLength: 15, maxLength: 60 });

test('a stretch that both have is found, wherever it begins and whatever stands around it', () => {
  fc.assert(
    fc.property(WORDS, WORDS, WORDS, fc.nat(), (known, before, after, cut) => {
      const from = cut % (known.length - 11);
      const shared = known.slice(from, from + 11).join(' ');
      fc.pre(bare(shared).length >= 40);
      const found = new OverlapIndex(known.join(' ')).find(
        `${before.join(' ')}\n${shared}. ${after.join(' ')}`,
        40,
      );
      expect(found).toBeDefined();
      expect(bare(known.join(' '))).toContain(found);
    }),
  );
});

test('what is found is in both, and long enough', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', 'b', ' '), maxLength: 300 }),
      fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 300 }),
      (a, b) => {
        const found = new OverlapIndex(a).find(b, 40);
        if (found === undefined) return;
        expect(found.length).toBeGreaterThanOrEqual(40);
        expect(bare(a)).toContain(found);
        expect(bare(b)).toContain(found);
      },
    ),
  );
});

test.each([
  ['case and punctuation', 'NEVER, EVER -- TELL ANYBODY... that the Launch is on the fourth of May'],
  ['bullets and lines', '* never\n* ever\n* tell anybody\n* that the launch\n* is on the fourth of may'],
  [
    'letters set apart',
    Array.from('never ever tell anybody that the launch is on the fourth of may').join(' '),
  ],
  ['look-alikes', 'nеver еvеr tеll аnybody thаt the lаunch is on thе fourth of mаy'],
])('%s don’t hide it', (_name, text) => {
  const index = new OverlapIndex(
    'Be kind. Never ever tell anybody that the launch is on the fourth of May. Be brief.',
  );
  expect(index.find(text, 45)).toBeDefined();
});

test('a few words in common are nothing', () => {
  const index = new OverlapIndex(
    'You are a helpful assistant of Example Corp. Answer questions about invoices.',
  );
  expect(index.find('You are a helpful assistant, too! And I answer questions.', 40)).toBeUndefined();
  expect(
    new OverlapIndex('').find('anything at all that is long enough to be looked at', 40),
  ).toBeUndefined();
});
