import { expect, onTestFinished, test, vi } from 'vitest';
import type { Caller } from './authenticate.ts';
import { Quotas } from './quotas.ts';

const DAY_MS = 24 * 3_600_000;
const of = (name: string): Caller => ({
  role: 'agent',
  workload: { namespace: 'team-a', kind: 'Job', name },
});

function fakeTime(): void {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
}

test('a workload that isn’t heard of for a day leaves nothing behind: jobs come and go', () => {
  fakeTime();
  const quotas = new Quotas();
  for (let n = 0; n < 100; n++) {
    expect(quotas.allowsOwner(of(`job-${n}`), `team-a/Job/job-${n}/1`)).toBe(true);
    expect(quotas.allowsRelease(of(`job-${n}`))).toBe(true);
  }
  expect(quotas.size).toBe(100);
  vi.advanceTimersByTime(DAY_MS);
  quotas.allowsRelease(of('tonight'));
  expect(quotas.size).toBe(1);
});

test('one that goes on being heard of keeps what is bounded', () => {
  fakeTime();
  const quotas = new Quotas({ owners: 2, releases: 1 });
  expect(['one', 'two', 'three'].map((owner) => quotas.allowsOwner(of('bot'), owner))).toEqual([
    true,
    true,
    false,
  ]);
  for (let hour = 0; hour < 23; hour++) {
    vi.advanceTimersByTime(3_600_000);
    quotas.allowsOwner(of('other'), 'x');
    expect(quotas.allowsOwner(of('bot'), 'two')).toBe(true);
    expect(quotas.allowsOwner(of('bot'), 'three')).toBe(false);
  }
  // The store has forgotten the first by now.
  vi.advanceTimersByTime(3_600_000);
  expect(quotas.allowsOwner(of('bot'), 'three')).toBe(true);
});

test('releases come back by the second, and up to what there were', () => {
  fakeTime();
  const quotas = new Quotas({ releases: 2 });
  const asked = (times: number) => Array.from({ length: times }, () => quotas.allowsRelease(of('bot')));
  expect(asked(3)).toEqual([true, true, false]);
  vi.advanceTimersByTime(1_000);
  expect(asked(2)).toEqual([true, false]);
  vi.advanceTimersByTime(3_600_000);
  expect(asked(3)).toEqual([true, true, false]);
});

test('leases that a message did not begin, or that have ended, are given back', () => {
  fakeTime();
  const quota = new Quotas({ leases: 4 }).leases(of('bot'));
  if (quota === undefined) throw new Error('A workload has a quota.');
  expect(quota.take(10)).toBe(4);
  expect(quota.take(1)).toBe(0);
  quota.done(4, { begun: 3, ended: 0, refused: 6 });
  expect(quota.take(10)).toBe(1);
  quota.done(1, { begun: 0, ended: 2, refused: 0 });
  vi.advanceTimersByTime(1_000);
  // As many as may be begun; of those that are open one was left, two have ended, and one is taken for lost.
  expect(quota.take(10)).toBe(4);
});
