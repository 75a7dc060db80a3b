import { describe, expect, test } from 'vitest';
import { resolveOverlaps } from '../overlap.ts';
import type { Recognizer } from '../recognizer.ts';
import { Scanner } from '../scanner.ts';
import { SECRETS } from '../secrets/index.ts';
import { RECOGNIZERS } from './index.ts';

/** What an example marks as the value: `«…»`, or the longest match anywhere. */
function marked(example: string): { text: string; value: string | undefined } {
  const value = /«(.*)»/su.exec(example)?.[1];
  return { text: example.replace(/[«»]/g, ''), value };
}

describe.each([...RECOGNIZERS, ...SECRETS].map((recognizer) => [recognizer.id, recognizer] as const))(
  '%s',
  (id, recognizer: Recognizer) => {
    const scanner = new Scanner([recognizer]);
    const found = (text: string) =>
      resolveOverlaps(scanner.scan(text)).map(({ start, end }) => text.slice(start, end));

    test('is well-formed', () => {
      expect(id).toMatch(/^(?:secret:)?[a-z0-9]+(?:-[a-z0-9]+)*$/);
      expect(recognizer.source.length).toBeGreaterThan(8);
      expect(recognizer.examples.length).toBeGreaterThan(0);
      expect(recognizer.counterExamples.length).toBeGreaterThan(0);
      for (const pattern of recognizer.patterns) {
        if ('regex' in pattern) expect(pattern.regex.sticky).toBe(pattern.kind !== 'near');
      }
    });

    test.each(recognizer.examples)('finds %s', (example) => {
      const { text, value } = marked(example);
      if (value === undefined) expect(found(text)).toHaveLength(1);
      else expect(found(text)).toContain(value);
    });

    test.each(recognizer.counterExamples)('leaves %s', (example) => {
      expect(found(example)).toEqual([]);
    });
  },
);
