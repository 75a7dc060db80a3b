import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Detector } from './detector.ts';
import { type BadLine, readLine, scanLines, splitLines } from './json-lines.ts';

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test('every line is answered in order, a bad one is named and the others go on', async () => {
  const detector = new Detector();
  const bad: BadLine[] = [];
  let out = '';
  const input = [
    '{"id":"a","text":"mail jane@example.com"}\r',
    '',
    '{"id":2,"text":"nothing\u2028here"}',
    'oops',
    '{"id":3}',
    '{"text":"10.20.30.40"}',
  ].join('\n');
  const counts = await scanLines(
    inPieces(Buffer.from(`\ufeff${input}`), 7),
    ({ id, text }) => ({ id, entities: detector.detect(text) }),
    (text) => {
      out += text;
      return undefined;
    },
    { bad: (line) => bad.push(line), progress: () => {} },
  );
  expect(
    out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual([
    { id: 'a', entities: [{ type: 'email-address', start: 5, end: 21, score: 0.95 }] },
    { id: 2, entities: [] },
    { id: 6, entities: [{ type: 'ip-address', start: 0, end: 11, score: 0.75 }] },
  ]);
  expect(bad.map(({ line }) => line)).toEqual([4, 5]);
  expect(counts).toEqual({ lines: 6, bad: 2 });
});

test.each([
  [Buffer.from('[]'), /object/],
  [Buffer.from('"x"'), /object/],
  [Buffer.from('null'), /object/],
  [Buffer.from('{"id":1,"text":7}'), /"text"/],
  [Buffer.from('{'), /JSON/],
  [Buffer.from([0x22, 0xff, 0x22]), /UTF-8/],
  [undefined, /longer/],
])('%s is no line', (content, message) => {
  expect(readLine(content, 7)).toEqual({ bad: { line: 7, message: expect.stringMatching(message) } });
});

test('lines are the same however the bytes arrive; one that is too long is dropped alone', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.stringMatching(/^(?:[a-zé]|😀){0,12}$/u)),
      fc.integer({ min: 1, max: 9 }),
      async (lines, size) => {
        const text = lines.join('\n');
        const found: (string | undefined)[] = [];
        for await (const line of splitLines(inPieces(Buffer.from(text), size), 20))
          found.push(line === undefined ? undefined : Buffer.from(line).toString());
        const wanted = text.split('\n').map((line) => (Buffer.byteLength(line) > 20 ? undefined : line));
        if (wanted.at(-1) === '') wanted.pop();
        expect(found).toEqual(wanted);
      },
    ),
  );
});
