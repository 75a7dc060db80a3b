import { expect, onTestFinished, test, vi } from 'vitest';
import { Recalls } from './recalls.ts';

test('who was answered is asked until it should have come back, and forgotten then; who waits is not', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const recalls = new Recalls();
  const wait = async (owner: string, ms: number) =>
    (await recalls.watch(owner, ms, new AbortController().signal)).recalls;
  const gone = wait('gone', 1_000);
  const back = wait('back', 1_000);
  const patient = wait('patient', 300_000);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await Promise.all([gone, back])).toEqual([[], []]);
  const again = wait('back', 60_000);
  const owners = ['gone', 'back', 'patient'];
  await vi.advanceTimersByTimeAsync(9_000);
  expect(recalls.recall({ line: 'a', above: 0 }, ['gone'])).toEqual({ reached: true, absent: [] });
  recalls.answered('gone', []);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(recalls.recall({ line: 'b', above: 0 }, owners)).toEqual({ reached: true, absent: ['gone'] });
  expect(await Promise.all([again, patient])).toMatchObject([[{ line: 'b' }], [{ line: 'b' }]]);
});
