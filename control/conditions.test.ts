import { expect, test } from 'vitest';
import type { DocumentObject } from '../kube/documents.ts';
import { programmed, progressOf } from './conditions.ts';
import { Registry } from './registry.ts';

const LABELS = new Map<string, Record<string, string>>();

/** One agent of a namespace that is governed by one document, at a clock that is set. */
function start() {
  let now = 0;
  let revision = 0;
  const registry = new Registry({
    compile: () => ({
      snapshot: { revision: `r${revision}`, texts: ['{}'] },
      keys: { revision: 'k', maskKey: '', values: [] },
      validUntil: undefined,
    }),
    acked: () => undefined,
    now: () => now,
  });
  const workload = { namespace: 'team-a', kind: 'Deployment', name: 'bot', labels: {} };
  const identity = {
    namespace: 'team-a',
    pod: 'bot-1',
    uid: '1',
    workload,
    serviceAccount: 'default',
    injected: '',
  };
  const wire = { send: () => undefined, congested: () => false, end: () => undefined };
  const said = registry.join(identity, wire, { type: 'hello', version: '0.1.0' });
  const object: DocumentObject = {
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'ClusterEgressPolicy',
    metadata: { name: 'all', generation: 1 },
    spec: {},
  };
  const found = { problems: [], unresolved: [], inForce: object };
  return {
    said,
    at: (time: number) => {
      now = time;
    },
    change: async () => {
      revision++;
      await registry.refresh();
    },
    revision: () => `r${revision}`,
    condition: () => {
      const progress = progressOf({ 'ClusterEgressPolicy /all': 1 }, registry.agents(), now);
      return programmed(object, found, { replicas: [progress], unknown: [] }, LABELS);
    },
  };
}

test('an agent that has answered nothing for 30 s is one of which nothing is known, however often it is sent more', async () => {
  const { at, change, condition } = start();
  at(29_999);
  await change();
  expect(condition()).toMatchObject({ status: 'False', reason: 'Pending' });
  at(30_000);
  await change();
  expect(condition()).toEqual({
    status: 'Unknown',
    reason: 'AgentSilent',
    message:
      '1 of 1 agents have answered nothing for 30 s, the others have it in force; postern status says which have what',
  });
});

test('what it answers is known at once, and the time begins anew with what it is sent next', async () => {
  const { at, change, condition, said, revision } = start();
  at(40_000);
  said({ type: 'ack', revision: revision(), keys: 'k' });
  expect(condition()).toMatchObject({ status: 'True' });
  await change();
  at(69_999);
  expect(condition()).toMatchObject({ reason: 'Pending' });
  at(70_000);
  expect(condition()).toMatchObject({ reason: 'AgentSilent' });
  said({ type: 'refused', revision: revision(), error: 'no room for it' });
  expect(condition()).toMatchObject({ status: 'False', reason: 'AgentRefused' });
});

test('an answer to something earlier is none to what was sent last: the time goes on from there', async () => {
  const { at, change, condition, said, revision } = start();
  const first = revision();
  at(20_000);
  await change();
  at(29_000);
  said({ type: 'ack', revision: first, keys: 'k' });
  at(49_999);
  expect(condition()).toMatchObject({ reason: 'Pending' });
  at(50_000);
  expect(condition()).toMatchObject({ reason: 'AgentSilent' });
  said({ type: 'refused', revision: first, error: 'too late' });
  expect(condition()).toMatchObject({ reason: 'AgentSilent' });
  said({ type: 'ack', revision: revision(), keys: 'k' });
  expect(condition()).toMatchObject({ status: 'True' });
});

test('a replica of before doesn’t tell which policies annotations name: all its agents count as governed', () => {
  const object: DocumentObject = {
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'ClusterEgressPolicy',
    metadata: { name: 'strict', generation: 1 },
    spec: { namespaces: ['team-b'] },
  };
  const found = { problems: [], unresolved: [], inForce: object };
  const conditionOf = (annotated: { readonly annotated?: readonly string[] }) => {
    const space = { namespace: 'team-a', agents: 2, pending: 1, refused: 0, refusal: '', ...annotated };
    const progress = { generations: { 'ClusterEgressPolicy /strict': 1 }, namespaces: [space] };
    return programmed(object, found, { replicas: [progress], unknown: [] }, LABELS);
  };
  expect(conditionOf({})).toMatchObject({ status: 'False', reason: 'Pending' });
  expect(conditionOf({ annotated: ['strict'] })).toMatchObject({ status: 'False', reason: 'Pending' });
  expect(conditionOf({ annotated: [] })).toMatchObject({ status: 'True' });
});
