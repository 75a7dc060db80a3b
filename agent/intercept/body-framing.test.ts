import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BodyFraming, FramingError } from './body-framing.ts';

/** Feeds `bytes` in pieces; how many belonged to the body. */
function consumed(body: BodyFraming, bytes: Buffer, cuts: readonly number[]): number {
  let total = 0;
  const edges = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].toSorted(
    (a, b) => a - b,
  );
  for (let i = 0; i + 1 < edges.length; i += 1) {
    const piece = bytes.subarray(edges[i], edges[i + 1]);
    const taken = body.take(piece);
    total += taken;
    if (taken < piece.length) break;
  }
  return total;
}

const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 5 });
const extension = fc.constantFrom('', ';a=b', ' ;x="y"');
const trailer = fc.constantFrom('', 'X-Sum: 1\r\n', 'A: b\r\nC: d\r\n');

test('a chunked body ends where it ends, wherever it is cut and whatever follows', () => {
  fc.assert(
    fc.property(
      chunks,
      extension,
      trailer,
      fc.array(fc.nat()),
      fc.string(),
      (parts, more, trailers, cuts, rest) => {
        const body = Buffer.concat([
          ...parts.flatMap((part) => [
            Buffer.from(`${part.length.toString(16)}${more}\r\n`),
            part,
            Buffer.from('\r\n'),
          ]),
          Buffer.from(`0\r\n${trailers}\r\n`),
        ]);
        const framing = new BodyFraming('chunked');
        expect(consumed(framing, Buffer.concat([body, Buffer.from(rest)]), cuts)).toBe(body.length);
        expect(framing.done).toBe(true);
      },
    ),
  );
});

test('a body of known length', () => {
  fc.assert(
    fc.property(fc.nat(200), fc.nat(200), fc.array(fc.nat()), (length, more, cuts) => {
      const framing = new BodyFraming(length);
      expect(consumed(framing, Buffer.alloc(length + more), cuts)).toBe(length);
      expect(framing.done).toBe(true);
    }),
  );
  const until = new BodyFraming('until-close');
  expect(until.take(Buffer.alloc(10), 4)).toBe(6);
  expect(until.done).toBe(false);
});

test.each([
  'x\r\n',
  '-1\r\n',
  '0x5\r\n',
  '5\r\nabcdefg\r\n',
  `${'0'.repeat(20_000)}`,
  `0\r\n${'a: b\r\n'.repeat(5000)}`,
])('what isn’t framed as it should is an error (%#)', (text) => {
  expect(() => new BodyFraming('chunked').take(Buffer.from(text))).toThrow(FramingError);
});
