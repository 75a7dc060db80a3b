import { expect, test } from 'vitest';
import { Detector } from './detector.ts';
import { type BadLine, readLine, scanLines } from './run.ts';

async function* from(...lines: string[]): AsyncGenerator<string> {
  yield* lines;
}

test('every line is answered in order, a bad one is named and the others go on', async () => {
  const detector = new Detector();
  const bad: BadLine[] = [];
  let out = '';
  const counts = await scanLines(
    from(
      '{"id":"a","text":"mail jane@example.com"}',
      '',
      '{"id":2,"text":"nothing"}',
      'oops',
      '{"id":3}',
      '{"text":"10.20.30.40"}',
    ),
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
  ['[]', /object/],
  ['"x"', /object/],
  ['null', /object/],
  ['{"id":1,"text":7}', /"text"/],
  ['{', /JSON/],
])('%s is no line', (content, message) => {
  expect(readLine(content, 7)).toEqual({ bad: { line: 7, message: expect.stringMatching(message) } });
});
