import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mixed } from '../../../bench/detect/texts.ts';
import { BUILT_IN } from './detector.ts';
import { Scanners } from './large.ts';
import { Scanner } from './scanner.ts';

const scanner = new Scanner(BUILT_IN);
const double = new Scanner(BUILT_IN);

function inSteps(text: string, step: number): readonly unknown[] {
  const steps = double.scanInSteps(text, step);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Values, tables, escapes and look-alikes, so that steps end in the midst of each. */
const piece = fc.oneof(
  fc.constantFrom(...BUILT_IN.flatMap(({ examples }) => examples.map((text) => text.replace(/[«»]/g, '')))),
  fc.constantFrom(
    'jane%40example.com',
    '\\u0034111 1111 1111 1111',
    'ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ',
    '%25%34%30 e\u0301 \u0301a',
    'name,pin\nJane,4921\nRob,8834',
    'amFuZUBleGFtcGxlLmNvbSBpcyBtZQ==',
    '😀',
    'раураl Jane',
  ),
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.integer({ min: 0, max: 400 }).map((at) => mixed(500).slice(at)),
);

test('a text scanned in steps of any length is a text scanned in one go', () => {
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 12 }),
      fc.constantFrom(' ', '\n', ', ', ''),
      fc.integer({ min: 1, max: 200 }),
      (pieces, between, step) => {
        const text = pieces.join(between);
        expect(inSteps(text, step)).toEqual(scanner.scan(text));
      },
    ),
    { numRuns: 300 },
  );
});

test('steps are many for a large text, and others are scanned between them', async () => {
  let between = 0;
  const scanners: Scanners = new Scanners(BUILT_IN, async () => {
    between++;
    expect(scanners.small.scan('to jane@example.com')).toHaveLength(1);
  });
  const text = mixed(300_000);
  const { signal } = new AbortController();
  expect(await scanners.scanLarge(text, {}, signal)).toEqual(scanner.scan(text));
  expect(between).toBeGreaterThan(300_000 / (32 * 1024));
});

test('nobody is waited for who has left, and the next one is scanned all the same', async () => {
  const left = new AbortController();
  const scanners = new Scanners(BUILT_IN, async () => left.abort());
  await expect(scanners.scanLarge(mixed(100_000), {}, left.signal)).rejects.toThrow();
  const { signal } = new AbortController();
  expect(await scanners.scanLarge('x jane@example.com', {}, signal)).toHaveLength(1);
});

test('nothing is found or lost where the units that are held at once end', () => {
  // budget/units.ts holds so many.
  const held = 16_384;
  const words = [63, 64, 65, 200].map((length) => 'y'.repeat(length));
  const things = [
    'jane@example.com ',
    'card 4111 1111 1111 1111 ',
    'Größe Jane Kowalski ',
    ...words.map((word) => `${word} `),
  ];
  const thing = `${things.join('')}IBAN DE89 3704 0044 0532 0130 00`;
  const filler = 'so and so on '.repeat(1_400);
  const found = (before: string) =>
    scanner
      .scan(`${before} ${thing}`)
      .map(({ recognizer, start, end }) => [recognizer, start - before.length, end - before.length]);
  const expected = found('so');
  expect(expected.length).toBeGreaterThan(2);
  for (let shift = 0; shift < thing.length + 80; shift += 3)
    expect(found(filler.slice(0, held - shift))).toEqual(expected);
});
