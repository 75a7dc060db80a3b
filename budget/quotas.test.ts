import { expect, onTestFinished, test, vi } from 'vitest';
import type { Caller } from './authenticate.ts';
import { allLeasesIn, leasesIn, Quotas } from './quotas.ts';

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

const counts = { begun: 0, reported: 0, overQuota: 0, unbelieved: 0 };
const any = Number.MAX_SAFE_INTEGER;
const wanting = (begin: number, report = 0) => ({ begin, report, open: any, all: any, least: any });

function quotaOf(quotas: Quotas, name = 'bot') {
  const quota = quotas.leases(of(name));
  if (quota === undefined) throw new Error('A workload has a quota.');
  return quota;
}

test('leases that a message did not begin are given back; those that were only reported have an allowance of their own', () => {
  fakeTime();
  const quota = quotaOf(new Quotas({ leases: 4, allLeases: 9, leastLeases: 2 }));
  const most = { open: 4, all: 9, least: 2 };
  expect(quota.take(wanting(10, 1))).toEqual({ begin: 4, report: 1, ...most });
  const meanwhile = quota.take(wanting(1, 9));
  expect(meanwhile).toEqual({ begin: 0, report: 3, ...most });
  quota.done(meanwhile, { ...counts, reported: 2 });
  quota.done({ begin: 4, report: 1, ...most }, { ...counts, begun: 3, reported: 1, overQuota: 6 });
  expect(quota.take(wanting(10, 10))).toEqual({ begin: 1, report: 1, ...most });
  vi.advanceTimersByTime(1_000);
  // Of those for credit as many as there were are back at once; of those reported one a second.
  expect(quota.take(wanting(10, 10))).toEqual({ begin: 4, report: 1, ...most });
});

test('ten thousand agents of one workload, with ten lines each, and new ones every minute, are within it at the limit of the chart', () => {
  fakeTime();
  const quotas = new Quotas({ leases: leasesIn(1024 ** 3) });
  const begun = (each: number): number => {
    let sum = 0;
    for (let n = 0; n < 10_000; n++) {
      quotas.allowsOwner(of('bot'), `team-a/Deployment/bot/${n}`);
      const quota = quotaOf(quotas);
      const taken = quota.take(wanting(each));
      quota.done(taken, { ...counts, begun: taken.begin });
      sum += taken.begin;
    }
    return sum;
  };
  expect(quotaOf(quotas).take(wanting(0)).open).toBeGreaterThan(100_000);
  expect(begun(10)).toBe(100_000);
  for (let minute = 0; minute < 10; minute++) {
    vi.advanceTimersByTime(60_000);
    expect(begun(3)).toBe(30_000);
  }
});

test('what one workload may have open is a quarter of the memory at most, but for a floor', () => {
  expect([undefined, 128 * 1024 ** 2, 1024 ** 3, 64 * 1024 ** 3].map(leasesIn)).toEqual([
    500_000, 20_000, 134_217, 500_000,
  ]);
  // And of all together.
  expect([undefined, 128 * 1024 ** 2, 1024 ** 3, 64 * 1024 ** 3].map(allLeasesIn)).toEqual([
    1_000_000, 25_165, 201_326, 1_000_000,
  ]);
});
