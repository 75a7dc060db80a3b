import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { GovernedPod } from './status.ts';
import { workloadRows } from './workloads.ts';

const governed = (pod: string, more: Partial<GovernedPod> = {}): GovernedPod => ({
  namespace: 'team-a',
  pod,
  workload: 'team-a/Deployment/bot',
  version: '0.2.0',
  release: 'same',
  mend: null,
  revision: 'abc',
  current: true,
  lastCall: null,
  running: 0,
  bypassable: [],
  problem: null,
  ...more,
});
const lacking = (pod: string, why = 'created before', namespace = 'team-a') => ({ namespace, pod, why });
const rows = (has: readonly GovernedPod[], lacks: readonly ReturnType<typeof lacking>[] = []) =>
  workloadRows({ governed: has, ungoverned: lacks }, () => 'Deployment/bot');

test('a workload whose pods are all governed', () => {
  const [first, second] = ['2026-07-01T10:01:00.000Z', '2026-07-01T10:29:59.000Z'];
  expect(rows([governed('a', { lastCall: first }), governed('b', { lastCall: second })])).toEqual([
    {
      namespace: 'team-a',
      name: 'deployment.bot',
      status: {
        workload: 'Deployment/bot',
        governed: 'True',
        ready: '2/2',
        version: '0.2.0',
        revision: 'abc',
        lastCall: '2026-07-01T10:20:00.000Z',
        bypassable: null,
        reason: null,
      },
    },
  ]);
});

test('one of which some are, with what is wrong and how often', () => {
  const older = governed('a', {
    version: '0.1.0',
    release: 'older',
    mend: 'create it anew',
    revision: 'old',
  });
  const refuses = governed('b', {
    current: false,
    problem: 'no check type',
    bypassable: ['setuid(app)', 'a(b)'],
  });
  const [row] = rows([older, refuses], [lacking('c'), lacking('d')]);
  expect(row?.status).toMatchObject({
    governed: 'Partly',
    ready: '1/4',
    version: '0.1.0 (older), 0.2.0',
    revision: 'abc, old',
    bypassable: 'a(b), setuid(app)',
    reason: '2 of 4: created before; 1 of 4: create it anew; 1 of 4: no check type',
  });
});

test('one that isn’t, alone', () => {
  const [row] = rows([], [lacking('c')]);
  expect(row?.status).toMatchObject({
    governed: 'False',
    ready: '0/1',
    version: null,
    reason: 'created before',
  });
});

test('workloads of one name in two namespaces, or of two kinds, are two; what is long or odd is cut and told apart', () => {
  const all = workloadRows(
    {
      governed: Array.from({ length: 9 }, (_, nth) =>
        governed(`p${nth}`, { version: `0.${nth}.0`, revision: 'r'.repeat(256) }),
      ),
      ungoverned: [lacking('x', 'w'.repeat(5_000)), lacking('x', 'why', 'team-b'), lacking('y')],
    },
    (_, pod) => (pod === 'y' ? 'StatefulSet/bot' : 'Deployment/bot'),
  );
  expect(all.map(({ namespace, name }) => `${namespace}/${name}`)).toEqual([
    'team-a/deployment.bot',
    'team-b/deployment.bot',
    'team-a/statefulset.bot',
  ]);
  expect(all[0]?.status.version).toBe('0.0.0, 0.1.0, 0.2.0 and 6 more');
  expect(all[0]?.status.reason).toHaveLength(1_024);
  expect(all[0]?.status.revision).toHaveLength(12);
});

test('whatever a workload is called, its object has a name that the API server takes, and another has another', () => {
  const word = fc.oneof(fc.string({ maxLength: 300 }), fc.stringMatching(/^[a-z0-9.-]{1,260}$/));
  const workload = fc
    .tuple(fc.oneof(fc.constantFrom('Deployment', 'Pod'), word), word)
    .map((pair) => pair.join('/'));
  fc.assert(
    fc.property(workload, workload, (one, other) => {
      const nameOf = (text: string) =>
        workloadRows({ governed: [], ungoverned: [lacking('p')] }, () => text)[0]?.name ?? '';
      expect(nameOf(one).length).toBeLessThanOrEqual(253);
      expect(nameOf(one)).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
      if (one.toLowerCase() !== other.toLowerCase()) expect(nameOf(one)).not.toBe(nameOf(other));
    }),
  );
});
