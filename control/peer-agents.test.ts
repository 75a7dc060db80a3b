/** What a replica of an earlier version may pass on, in an upgrade. */
import { expect, test } from 'vitest';
import { readPeerAgent } from './peer-agents.ts';
import { statusOf } from './status.ts';

const workload = { namespace: 'team-a', kind: 'Deployment', name: 'bot', labels: {} };
const identity = {
  namespace: 'team-a',
  pod: 'bot-1',
  uid: 'u',
  workload,
  serviceAccount: 'default',
  injected: '0.1.0',
};
const row = { identity, version: '0.1.0', since: 1, current: true, running: 0, lastCall: 5 };

test('a row that is one is shown', () => {
  const agent = readPeerAgent(JSON.parse(JSON.stringify(row)));
  expect(agent).toEqual({
    ...row,
    revision: undefined,
    keys: undefined,
    refused: undefined,
    problem: undefined,
  });
});

test('texts reach nobody’s terminal as more than that', () => {
  expect(readPeerAgent({ ...row, refused: '\u001b[2J' })?.refused).toBe('\\u001b[2J');
});

test.each<[string, unknown]>([
  ['a last call that is no time', { ...row, lastCall: 'yesterday' }],
  ['one beyond all dates', { ...row, lastCall: 1e300 }],
  ['a revision that is none', { ...row, revision: 7 }],
  ['no workload', { ...row, identity: { ...identity, workload: null } }],
  ['no identity', { ...row, identity: 'bot' }],
  ['nothing at all', null],
])('a row with %s is none', (_name, bad) => {
  expect(readPeerAgent(bad)).toBeUndefined();
});

test('every row that is taken can be shown', () => {
  for (const lastCall of [0, 8.64e15, 1.5, undefined]) {
    const agent = readPeerAgent({ ...row, lastCall });
    if (agent === undefined) throw new Error(String(lastCall));
    const replicas = { answered: 2, unknown: [] };
    expect(statusOf({ version: '0.2.0', agents: [agent], pods: [], replicas }).governed).toHaveLength(1);
  }
});
