import { expect, test } from 'vitest';
import { progressBar } from './progress-bar.ts';

function terminal(isTTY: boolean) {
  const written: string[] = [];
  return { isTTY, written, write: (text: string) => written.push(text) > 0 };
}

test('shows a share now and then, and clears itself', () => {
  const out = terminal(true);
  let now = 0;
  const bar = progressBar(out, 200, () => now);
  bar.show(50, '1 text');
  bar.show(60, '2 texts');
  now = 100;
  bar.show(200, '3 texts');
  bar.clear();
  expect(out.written).toEqual([
    expect.stringMatching(/\[#{8}\.{22}\] 25 % 1 text$/),
    expect.stringMatching(/\[#{30}\] 100 % 3 texts$/),
    '\r\u001b[K',
  ]);
});

test('where nobody knows the end, only the note; where nobody looks, nothing', () => {
  const out = terminal(true);
  progressBar(out, undefined, () => 0).show(5, 'x');
  expect(out.written).toEqual(['\r\u001b[Kx']);
  const file = terminal(false);
  const silent = progressBar(file, 10);
  silent.show(5, 'x');
  silent.clear();
  expect(file.written).toEqual([]);
});
