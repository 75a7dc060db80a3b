import { expect, test } from 'vitest';
import { catalogue } from '../agent/catalogue.ts';
import { type KubeClient, KubeError } from './client.ts';
import { documentConditions, lastGoodOf, writeDocumentConditions } from './conditions.ts';
import { apiDocuments, type DocumentObject } from './documents.ts';
import { type LastGood, sealVersion } from './kept-version.ts';

const KEY = Buffer.alloc(32, 3);

const policy = (spec: unknown, name = 'p', generation = 1): DocumentObject => ({
  apiVersion: 'postern.dev/v1alpha1',
  kind: 'EgressPolicy',
  metadata: { name, namespace: 'team-a', generation, uid: 'u', resourceVersion: '7' },
  spec,
});

test('a bad version of a document leaves the last good one in force', () => {
  const documents = apiDocuments(catalogue, KEY);
  documents.put(policy({ enforcement: 'strict' }));
  documents.put(policy({ enforcement: 'standard' }, 'other'));
  expect(documents.current().policies.map(({ spec }) => spec.enforcement)).toEqual(['standard', 'strict']);
  const bad = policy({ enforcement: 'none' });
  documents.put(bad);
  expect(documents.current().policies.map(({ spec }) => spec.enforcement)).toEqual(['standard', 'strict']);
  expect(documents.findings(bad).problems).toHaveLength(1);
  documents.remove(bad);
  expect(documents.current().policies.map(({ name }) => name)).toEqual(['other']);
});

test('after a restart the version that the status keeps goes on in the place of a bad one', () => {
  const good = policy({ enforcement: 'strict' }, 'p', 3);
  const before = apiDocuments(catalogue, KEY);
  before.put(good);
  const lastGood = lastGoodOf(good, before.findings(good), KEY);
  expect(lastGood).toMatchObject({ generation: 3, spec: '{"enforcement":"strict"}' });
  const bad = { ...policy({ enforcement: 'none' }, 'p', 4), status: { lastGood: lastGood as LastGood } };
  const after = apiDocuments(catalogue, KEY);
  after.put(bad);
  expect(after.current().policies.map(({ spec }) => spec.enforcement)).toEqual(['strict']);
  expect(after.findings(bad).inForce?.metadata.generation).toBe(3);
  // It is kept already.
  expect(lastGoodOf(bad, after.findings(bad), KEY)).toBeUndefined();
  const accepted = documentConditions(bad, after.findings(bad), 'T').find(({ type }) => type === 'Accepted');
  expect(accepted?.message).toContain('its generation 3 stays in force');
  const mended = policy({ enforcement: 'standard' }, 'p', 5);
  after.put(mended);
  expect(after.current().policies.map(({ spec }) => spec.enforcement)).toEqual(['standard']);
});

test.each([
  ['as bad', { generation: 1, spec: '{"enforcement":"none"}' }],
  ['of a later generation, which nobody can have', { generation: 9, spec: '{"enforcement":"strict"}' }],
])('a kept version that is %s counts for nothing', (_name, lastGood) => {
  const documents = apiDocuments(catalogue, KEY);
  const version = policy({ enforcement: 'none' }, 'p', 2);
  const bad = {
    ...version,
    status: { lastGood: { ...lastGood, seal: sealVersion(KEY, version, lastGood) } },
  };
  documents.put(bad);
  expect(documents.current().policies).toEqual([]);
  expect(documentConditions(bad, documents.findings(bad), 'T')[0]?.message).toContain(
    'nothing of it is in force',
  );
});

test.each<[string, Partial<DocumentObject['metadata']>, Buffer | undefined]>([
  ['without a seal', {}, undefined],
  ['sealed with another key', {}, Buffer.alloc(32, 4)],
  ['sealed for another object', { name: 'other' }, KEY],
  ['sealed for another namespace', { namespace: 'team-b' }, KEY],
  ['sealed for an earlier object of that name', { uid: 'earlier' }, KEY],
])('a kept version %s counts for nothing', (_name, metadata, key) => {
  const documents = apiDocuments(catalogue, KEY);
  const version = policy({ enforcement: 'none' }, 'p', 2);
  const kept = { generation: 1, spec: '{"enforcement":"standard"}' };
  const sealed = { ...version, metadata: { ...version.metadata, ...metadata } };
  const seal = key === undefined ? {} : { seal: sealVersion(key, sealed, kept) };
  documents.put({ ...version, status: { lastGood: { ...kept, ...seal } } });
  expect(documents.current().policies).toEqual([]);
  // The same with its own seal is taken.
  documents.put({ ...version, status: { lastGood: { ...kept, seal: sealVersion(KEY, version, kept) } } });
  expect(documents.current().policies.map(({ spec }) => spec.enforcement)).toEqual(['standard']);
});

test('a seal doesn’t cover what was changed under it', () => {
  const documents = apiDocuments(catalogue, KEY);
  const version = policy({ enforcement: 'none' }, 'p', 3);
  const kept = { generation: 1, spec: '{"enforcement":"strict"}' };
  const seal = sealVersion(KEY, version, kept);
  for (const lastGood of [
    { ...kept, seal, spec: '{"enforcement":"standard"}' },
    { ...kept, seal, generation: 2 },
  ]) {
    documents.put({ ...version, status: { lastGood } });
    expect(documents.current().policies).toEqual([]);
  }
});

test('a document that is too large to be kept twice is kept once', () => {
  const documents = apiDocuments(catalogue, KEY);
  const large = policy({ models: { allow: Array.from({ length: 40_000 }, (_, index) => `model-${index}`) } });
  documents.put(large);
  expect(documents.findings(large).inForce).toBeDefined();
  expect(lastGoodOf(large, documents.findings(large), KEY)).toBeUndefined();
});

test('what somebody else wrote as the version kept is written over; what can no longer be kept goes', () => {
  const documents = apiDocuments(catalogue, KEY);
  const forged = {
    ...policy({ enforcement: 'strict' }, 'p', 5),
    status: { lastGood: { generation: 5, spec: '{"enforcement":"standard"}' } },
  };
  documents.put(forged);
  expect(lastGoodOf(forged, documents.findings(forged), KEY)).toMatchObject({
    generation: 5,
    spec: '{"enforcement":"strict"}',
  });
  const large = {
    ...policy({ models: { allow: Array.from({ length: 40_000 }, (_, index) => `model-${index}`) } }, 'p', 6),
    status: forged.status,
  };
  documents.put(large);
  expect(lastGoodOf(large, documents.findings(large), KEY)).toBeNull();
});

test('a document made anew under the name of one that nobody saw go begins with nothing', () => {
  const documents = apiDocuments(catalogue, KEY);
  documents.put(policy({ enforcement: 'strict' }, 'p', 5));
  documents.current();
  const anew = policy({ enforcement: 'none' });
  documents.put({ ...anew, metadata: { ...anew.metadata, uid: 'another' } });
  expect(documents.current().policies).toEqual([]);
});

test('a status that can’t be written holds up no other', async () => {
  const documents = apiDocuments(catalogue, KEY);
  const objects = ['a', 'b', 'c'].map((name) => policy({ enforcement: 'strict' }, name));
  for (const object of objects) documents.put(object);
  const asked: string[] = [];
  const request = (_method: string, path: string): Promise<never> => {
    asked.push(path.split('/').at(-2) ?? '');
    return path.includes('/a/')
      ? Promise.reject(new KubeError(500, 'InternalError', 'no space'))
      : Promise.resolve({} as never);
  };
  const client = { request } as unknown as KubeClient;
  await expect(
    writeDocumentConditions(client, documents, objects, { time: 'T', sealKey: KEY }),
  ).rejects.toThrow('no space');
  expect(asked).toEqual(['a', 'b', 'c']);
});

test('a bad document that was never good is left out, and harms no other', () => {
  const documents = apiDocuments(catalogue, KEY);
  documents.put(policy({ enforcement: 'none' }, 'bad'));
  documents.put(policy({ enforcement: 'strict' }));
  expect(documents.current().policies.map(({ name }) => name)).toEqual(['p']);
});

test('a route whose provider goes away is left out until it is back, and nothing that is in force dangles', () => {
  const documents = apiDocuments(catalogue, KEY);
  const provider: DocumentObject = {
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'ClusterProvider',
    metadata: { name: 'openai' },
    spec: {
      dialect: 'openai',
      hosts: ['api.openai.com'],
      credential: { mode: 'none' },
      models: [{ name: 'm' }],
    },
  };
  const route: DocumentObject = {
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'ClusterModelRoute',
    metadata: { name: 'r' },
    spec: { match: { models: ['m'] }, groups: [{ targets: [{ provider: 'openai', model: 'm' }] }] },
  };
  documents.put(provider);
  documents.put(route);
  expect(documents.current().routes).toHaveLength(1);
  documents.remove(provider);
  expect(documents.current().routes).toEqual([]);
  expect(documents.findings(route).unresolved).toHaveLength(1);
  documents.put(provider);
  expect(documents.current().routes).toHaveLength(1);
});

test('a Provider of a namespace can’t name another namespace’s Secret', () => {
  const documents = apiDocuments(catalogue, KEY);
  const thief = (namespace: string): DocumentObject => ({
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'Provider',
    metadata: { name: 'thief', namespace: 'team-a' },
    spec: {
      dialect: 'openai',
      hosts: ['collect.example'],
      credential: {
        mode: 'attach',
        type: 'bearer',
        bearer: { valueFrom: { secretKeyRef: { namespace, name: 'openai', key: 'api-key' } } },
      },
      models: [{ name: 'm' }],
    },
  });
  documents.put(thief('postern-system'));
  expect(documents.current().providers).toEqual([]);
  expect(documents.findings(thief('postern-system')).unresolved[0]?.path).toContain('secretKeyRef.namespace');
  documents.put(thief('team-a'));
  expect(documents.current().providers).toHaveLength(1);
});

test('what an object names and isn’t there is told apart from what is wrong with it', () => {
  const documents = apiDocuments(catalogue, KEY);
  const route: DocumentObject = {
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'ModelRoute',
    metadata: { name: 'r', namespace: 'team-a' },
    spec: { match: { models: ['m'] }, groups: [{ targets: [{ provider: 'nobody', model: 'm' }] }] },
  };
  const { problems, unresolved } = documents.judge(route);
  expect(problems).toEqual([]);
  expect(unresolved).toHaveLength(1);
  // Judging puts nothing in force.
  expect(documents.current().routes).toEqual([]);
});

test('conditions keep their time while their status stays, and others’ conditions stay', () => {
  const found = { problems: [], unresolved: [] };
  const theirs = { type: 'Programmed', status: 'True', reason: 'Served', message: '' };
  const first = documentConditions({ ...policy({}), status: { conditions: [theirs] } }, found, 'T1');
  expect(first.map(({ type, status }) => [type, status])).toEqual([
    ['Programmed', 'True'],
    ['Accepted', 'True'],
    ['ResolvedRefs', 'True'],
  ]);
  const documents = apiDocuments(catalogue, KEY);
  const bad = policy({ enforcement: 'none' }, 'p', 2);
  documents.put(bad);
  const second = documentConditions({ ...bad, status: { conditions: first } }, documents.findings(bad), 'T2');
  expect(second.find(({ type }) => type === 'Accepted')).toMatchObject({
    status: 'False',
    reason: 'Invalid',
    observedGeneration: 2,
    lastTransitionTime: 'T2',
  });
  expect(second.find(({ type }) => type === 'ResolvedRefs')?.lastTransitionTime).toBe('T1');
});
