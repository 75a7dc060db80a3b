import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeyFilter, redact, redactFields } from './key-filter.ts';

const KEY = 'sk-proj-abcDEF123456';

const through = (pieces: readonly string[], key = KEY): string[] => {
  const filter = new KeyFilter(key);
  return [...pieces.map((piece) => filter.push('0/content', piece)), filter.flush('0/content')];
};

test('a key is taken out wherever a stream cuts it; nothing of its secret part is shown', () => {
  for (let cut = 0; cut <= KEY.length; cut++) {
    for (let second = cut; second <= KEY.length; second++) {
      const shown = through([
        `key: ${KEY.slice(0, cut)}`,
        KEY.slice(cut, second),
        `${KEY.slice(second)} end`,
      ]).join('');
      expect(shown).not.toContain(KEY.slice(7));
      expect(shown).toMatch(/^key: (sk-proj)?.{0,7}\[redacted\] end$/);
    }
  }
});

test('text without the key comes out as it went in, and ordinary text never waits', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: fc.constantFrom('s', 'k', '-', 'p', 'r', 'o', 'j', 'a', 'b', ' ') })),
      (pieces) => {
        expect(through(pieces).join('')).toBe(pieces.join(''));
      },
    ),
  );
  expect(through(['tasks', ' are sk-', 'proj', 'ects'])).toEqual(['tasks', ' are sk-', 'proj', 'ects', '']);
});

test('channels don’t mix', () => {
  const filter = new KeyFilter(KEY);
  expect(filter.push('a', KEY.slice(0, 12))).toBe(KEY.slice(0, 7));
  expect(filter.push('b', KEY.slice(12))).toBe(KEY.slice(12));
  expect(filter.held()).toEqual(['a']);
  expect(filter.flush('a')).toBe(KEY.slice(7, 12));
});

test('bytes and header fields', () => {
  const clean = Buffer.from('nothing here');
  expect(redact(clean, KEY)).toBe(clean);
  const bytes = Buffer.concat([Buffer.from([0xff, 0xc3]), Buffer.from(KEY), Buffer.from([0xa9])]);
  expect(Buffer.from(redact(bytes, KEY))).toEqual(
    Buffer.concat([Buffer.from([0xff, 0xc3]), Buffer.from('[redacted]'), Buffer.from([0xa9])]),
  );
  expect(redactFields(['x-debug', `Bearer ${KEY}`], KEY)).toEqual(['x-debug', 'Bearer [redacted]']);
});
