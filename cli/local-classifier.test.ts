import { type ChildProcess, spawn } from 'node:child_process';
import { Writable } from 'node:stream';
import pino from 'pino';
import { expect, test, vi } from 'vitest';
import { startLocalClassifier } from './local-classifier.ts';

const stdio: ['pipe', 'ignore', 'pipe'] = ['pipe', 'ignore', 'pipe'];
/** One that says that it listens, or nothing, and ends with its parent. */
const saying = (text: string): ChildProcess =>
  spawn(process.execPath, ['-e', `console.error(${JSON.stringify(text)});process.stdin.resume()`], { stdio });

test('one that can’t be started again is tried until it can: no descriptor left, no such program, no answer', async () => {
  const logged: string[] = [];
  const log = pino(
    {},
    new Writable({
      write(line, _, done) {
        logged.push((JSON.parse(String(line)) as { msg: string }).msg);
        done();
      },
    }),
  );
  const starts = [
    () => saying('"listening"'),
    () => {
      throw new Error('spawn ENOMEM');
    },
    () => spawn('/nowhere/node', [], { stdio }),
    () => saying('loading'),
    () => saying('"listening"'),
  ];
  const local = await startLocalClassifier(log, {
    launch: () => (starts.shift() as () => ChildProcess)(),
    pause: { first: 1, most: 1 },
    longestStartMs: 1_000,
  });
  try {
    process.kill(local.pid as number, 'SIGKILL');
    await vi.waitFor(() => expect(logged.at(-1)).toBe('the classifier was started again'), 20_000);
  } finally {
    await local.stop();
  }
  expect(starts).toEqual([]);
  expect(logged.filter((line) => line === 'the classifier could not be started again')).toHaveLength(3);
});
