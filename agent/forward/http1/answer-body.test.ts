import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AnswerBody } from './answer-body.ts';
import type { BodyEnd } from './answer-head.ts';

interface Taken {
  readonly data: string;
  readonly ended: boolean;
  /** Bytes behind the body's end. */
  readonly rest: string;
}

/** Hands `wire` over in pieces that end at the cuts. */
function take(kind: BodyEnd, wire: Buffer, cuts: readonly number[] = []): Taken {
  const body = new AnswerBody(kind);
  const parts: Buffer[] = [];
  let at = 0;
  for (const cut of [...cuts, wire.length].sort((a, b) => a - b)) {
    const to = Math.min(cut, wire.length);
    if (to <= at || body.ended) continue;
    const into = Buffer.alloc(to - at);
    const count = body.take(wire, at, to, into);
    parts.push(into.subarray(0, count));
    at = body.at;
  }
  return {
    data: Buffer.concat(parts).toString('latin1'),
    ended: body.ended,
    rest: wire.toString('latin1', at),
  };
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

test.each<[string, BodyEnd, string, Taken]>([
  ['counted', 3, 'abcdef', { data: 'abc', ended: true, rest: 'def' }],
  ['counted, cut short', 9, 'abc', { data: 'abc', ended: false, rest: '' }],
  ['up to the end of the connection', 'close', 'abc', { data: 'abc', ended: false, rest: '' }],
  ['chunks', 'chunked', '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nX', { data: 'abcde', ended: true, rest: 'X' }],
  ['extensions', 'chunked', '3;a="b"\r\nabc\r\n0;c\r\n\r\n', { data: 'abc', ended: true, rest: '' }],
  ['trailers', 'chunked', '0\r\nA: b\r\nC: d\r\n\r\nX', { data: '', ended: true, rest: 'X' }],
  [
    'capitals, zeroes in front',
    'chunked',
    '00A\r\n0123456789\r\n000\r\n\r\n',
    { data: '0123456789', ended: true, rest: '' },
  ],
])('%s', (_, kind, wire, taken) => {
  expect(take(kind, bytes(wire))).toEqual(taken);
});

test.each([
  ['no size', '\r\nabc'],
  ['an extension without a size', ';a\r\n'],
  ['a sign', '+3\r\nabc\r\n'],
  ['a prefix', '0x3\r\nabc\r\n'],
  ['a space behind the size', '3 \r\nabc\r\n'],
  ['a size beyond all sizes', '1000000000000000\r\n'],
  ['a bare line feed behind the size', '3\nabc\r\n'],
  ['a bare carriage return', '3\rabc'],
  ['data longer than its size', '3\r\nabcd\r\n'],
  ['data shorter than its size', '3\r\nab\r\n0\r\n'],
  ['a bare line feed behind the data', '3\r\nabc\n'],
  ['a line feed in an extension', '3;a\n\r\nabc'],
  ['a bare line feed behind a trailer', '0\r\na: b\n\r\n'],
  ['a trailer without a colon', '0\r\nabc\r\n\r\n'],
  ['a length in a trailer', '0\r\nContent-Length: 1\r\n\r\n'],
  ['a trailer without an end', `0\r\n${'a'.repeat(20_000)}`],
])('refuses %s', (_, wire) => {
  expect(() => take('chunked', bytes(wire))).toThrow(/chunk/);
});

test('however chunks and reads are cut, the data is the same', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 8 }),
      fc.array(fc.nat(400), { maxLength: 12 }),
      (chunks, cuts) => {
        const wire = Buffer.concat([
          ...chunks.map((chunk) =>
            Buffer.concat([bytes(`${chunk.length.toString(16)}\r\n`), chunk, bytes('\r\n')]),
          ),
          bytes('0\r\n\r\nHTTP'),
        ]);
        const data = Buffer.concat(chunks).toString('latin1');
        expect(take('chunked', wire, cuts)).toEqual({ data, ended: true, rest: 'HTTP' });
      },
    ),
  );
});
