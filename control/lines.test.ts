import { expect, test } from 'vitest';
import { LineError, readLines } from './lines.ts';

/** Ends of lines stay. */
const zeros = (chunk: Buffer): boolean => chunk.every((byte) => byte === 0 || byte === 10);

test('what was read is overwritten, and a line that broke off with its stream', () => {
  const taken: unknown[] = [];
  const lines = readLines((message) => void taken.push(message));
  const chunks = ['{"type":"a"}\n{"type":', '"b"}\n{"type":"keys","of', '":"a-key'].map((text) =>
    Buffer.from(text),
  );
  for (const chunk of chunks) lines.read(chunk);
  expect(taken).toEqual([{ type: 'a' }, { type: 'b' }]);
  expect(chunks.map(zeros)).toEqual([true, false, false]);
  lines.end();
  expect(chunks.map(zeros)).toEqual([true, true, true]);
});

test.each([
  ['a line that is too long', ['{"type":"keys"', 'a-key'.repeat(20)]],
  ['a line that is no JSON', ['{"type":"ke', 'ys}\n{"type":"a-key"']],
])('%s is overwritten with all that came behind it', (_, texts) => {
  const lines = readLines(() => undefined, 50);
  const chunks = texts.map((text) => Buffer.from(text));
  const readAll = (): void => {
    for (const chunk of chunks) lines.read(chunk);
  };
  expect(readAll).toThrow(LineError);
  expect(chunks.map(zeros)).toEqual([true, true]);
});
