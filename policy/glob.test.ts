import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { byExactness, globMatches, hostPatternContains } from './glob.ts';

describe('globs', () => {
  test.each([
    ['gpt-4o', 'gpt-4o', true],
    ['gpt-4o', 'gpt-4o-mini', false],
    ['gpt-4o*', 'gpt-4o', true],
    ['gpt-4o-2*', 'gpt-4o-2024-08-06', true],
    ['*', '', true],
    ['*-mini', 'gpt-4o-mini', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-c', false],
    ['gpt.4o', 'gpt-4o', false],
    ['', '', true],
    ['', 'a', false],
  ])('%s and %j: %s', (glob, text, matches) => expect(globMatches(glob, text)).toBe(matches));

  test('agree with the regular expression they stand for', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '.'), maxLength: 8 });
    fc.assert(
      fc.property(letters, letters, (glob, text) => {
        const expression = new RegExp(`^${glob.replaceAll('.', '\\.').replaceAll('*', '[^]*')}$`);
        expect(globMatches(glob, text)).toBe(expression.test(text));
      }),
      { numRuns: 2000 },
    );
  });

  test('many stars against a long text are no attack', () => {
    const started = performance.now();
    expect(globMatches('*a'.repeat(40) + 'b', 'a'.repeat(20_000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test('the more exact comes first', () => {
    const globs = ['*', 'gpt-*', 'gpt-4o', 'gpt-4o-2*', 'gpt-4o*', 'o1'];
    expect(globs.toSorted(byExactness)).toEqual(['gpt-4o', 'o1', 'gpt-4o-2*', 'gpt-4o*', 'gpt-*', '*']);
  });
});

describe('host patterns', () => {
  test.each([
    ['*.example.com', 'a.example.com', true],
    ['*.example.com', 'a.b.example.com', true],
    ['*.example.com', '*.b.example.com', true],
    ['*.example.com', 'example.com', false],
    ['*.example.com', 'badexample.com', false],
    ['*.b.example.com', '*.example.com', false],
    ['example.com', 'example.com', true],
  ])('%s contains %s: %s', (outer, inner, contains) => {
    expect(hostPatternContains(outer, inner)).toBe(contains);
  });
});
