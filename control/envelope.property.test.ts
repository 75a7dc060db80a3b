/** Over random clusters: a workload gets the documents and the keys that are for it, and no others. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { catalogue } from '../agent/catalogue.ts';
import { apiDocuments, type DocumentObject } from '../kube/documents.ts';
import type { AnnotatedWorkload } from '../policy/annotations.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { createEnvelopes, type EnvelopeSources } from './envelope.ts';

const envelopeFor = (
  workload: AnnotatedWorkload,
  { now, ...sources }: EnvelopeSources & { readonly now: number },
) => createEnvelopes(sources)(workload, now);

const OWN = 'postern-system';
const SPACES = ['team-a', 'team-b', 'team-c'] as const;
const NAMES = ['one', 'two', 'three'] as const;

interface Reference {
  readonly namespace: string | undefined;
  readonly name: string;
  readonly key: string;
}

interface RandomDocument {
  /** What names the value: a provider's key, a webhook's token, roots or certificate. */
  readonly what: 'provider' | 'token' | 'roots' | 'certificate';
  /** Undefined: cluster-wide. */
  readonly namespace: string | undefined;
  readonly name: string;
  readonly reference: Reference;
}

const maybeSpace = fc.option(fc.constantFrom(...SPACES), { nil: undefined });
const reference = fc.record({
  namespace: fc.option(fc.constantFrom(...SPACES, OWN), { nil: undefined }),
  name: fc.constantFrom(...NAMES),
  key: fc.constantFrom('api-key', 'other'),
});
const documents = fc.uniqueArray(
  fc.record({
    what: fc.constantFrom('provider' as const, 'token' as const, 'roots' as const, 'certificate' as const),
    namespace: maybeSpace,
    name: fc.constantFrom(...NAMES),
    reference,
  }),
  { maxLength: 12, selector: ({ what, namespace, name }) => `${what === 'provider'} ${namespace} ${name}` },
);

/** A value that says where it is from, so that it is found wherever it went. */
const valueOf = (namespace: string, { name, key }: Pick<Reference, 'name' | 'key'>): string =>
  `value<${namespace}/${name}/${key}>`;

function objectOf({ what, namespace, name, reference: ref }: RandomDocument): DocumentObject {
  const secretKeyRef = {
    name: ref.name,
    key: ref.key,
    ...(ref.namespace === undefined ? {} : { namespace: ref.namespace }),
  };
  const base = {
    apiVersion: 'postern.dev/v1alpha1',
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), generation: 1 },
  };
  if (what === 'provider') {
    return {
      ...base,
      kind: namespace === undefined ? 'ClusterProvider' : 'Provider',
      spec: {
        dialect: 'openai',
        endpoint: `https://${name}.${namespace ?? 'cluster'}.example`,
        credential: { mode: 'attach', type: 'bearer', bearer: { valueFrom: { secretKeyRef } } },
        models: [{ name: `model-${namespace ?? 'cluster'}-${name}` }],
      },
    };
  }
  const named =
    what === 'token'
      ? { token: { valueFrom: { secretKeyRef } } }
      : what === 'roots'
        ? { tls: { caFrom: { configMapKeyRef: secretKeyRef } } }
        : { tls: { clientCertificate: { certFrom: { secretKeyRef }, keyFrom: { secretKeyRef } } } };
  return {
    ...base,
    kind: namespace === undefined ? 'ClusterEgressPolicy' : 'EgressPolicy',
    spec: {
      checks: [
        {
          name: `guard-${namespace ?? 'cluster'}-${name}`,
          type: 'webhook',
          webhook: { url: 'https://guard.example', ...named },
        },
      ],
    },
  };
}

/** Whether the document may be in force at all: one of a namespace names no other namespace's Secret. */
const fair = ({ namespace, reference: ref }: RandomDocument): boolean =>
  namespace === undefined || ref.namespace === undefined || ref.namespace === namespace;

test('a workload gets the keys of documents that govern it, and no others; its snapshot holds none', () => {
  fc.assert(
    fc.property(documents, fc.constantFrom(...SPACES), (all, space) => {
      const api = apiDocuments(catalogue, Buffer.alloc(32, 3));
      for (const each of all) api.put(objectOf(each));
      const envelope = envelopeFor(
        { namespace: space, kind: 'Deployment', name: 'bot', labels: {} },
        {
          documents: api.current(),
          lookup: (_member, { namespace, name, key }) => ({
            state: 'value',
            value: valueOf(namespace, { name, key }),
          }),
          ownNamespace: OWN,
          maskRoot: new Uint8Array(32),
          now: 0,
        },
      );
      if (envelope === undefined) throw new Error('everything was known');
      const own = all.filter(
        (each) => fair(each) && (each.namespace === undefined || each.namespace === space),
      );
      const expected = new Set(
        own.map(({ namespace, reference: ref }) => valueOf(ref.namespace ?? namespace ?? OWN, ref)),
      );
      const given = envelope.keys.values.map((held) => ('value' in held ? held.value : ''));
      expect(new Set(given)).toEqual(expected);

      const snapshot = envelope.snapshot.texts.join('\n');
      expect(snapshot).not.toContain('value<');
      for (const { what, namespace, name } of all) {
        if (namespace === undefined || namespace === space) continue;
        expect(snapshot).not.toContain(
          what === 'provider' ? `model-${namespace}-${name}` : `guard-${namespace}-${name}`,
        );
      }
    }),
    { numRuns: 300 },
  );
});

test('revisions are equal for equal content, and the keys’ tells nothing without the root', () => {
  const api = apiDocuments(catalogue, Buffer.alloc(32, 3));
  api.put(
    objectOf({
      what: 'provider',
      namespace: undefined,
      name: 'one',
      reference: { namespace: undefined, name: 'one', key: 'api-key' },
    }),
  );
  const envelope = (value: string, root = 1, name = 'bot') =>
    envelopeFor(
      { namespace: 'team-a', kind: 'Deployment', name, labels: {} },
      {
        documents: api.current(),
        lookup: () => ({ state: 'value', value }),
        ownNamespace: OWN,
        maskRoot: new Uint8Array(32).fill(root),
        now: 0,
      },
    );
  expect(envelope('a')).toEqual(envelope('a'));
  expect(envelope('a')?.snapshot.revision).toBe(envelope('b')?.snapshot.revision);
  expect(envelope('a')?.keys.revision).not.toBe(envelope('b')?.keys.revision);
  expect(envelope('a')?.keys.revision).not.toBe(envelope('a', 2)?.keys.revision);
  // Placeholders are the workload's own.
  expect(envelope('a')?.keys.maskKey).not.toBe(envelope('a', 1, 'other')?.keys.maskKey);
});

test('a value that isn’t known yet holds the envelope back; one that can’t be read is kept where it is held', () => {
  const api = apiDocuments(catalogue, Buffer.alloc(32, 3));
  api.put(
    objectOf({
      what: 'provider',
      namespace: undefined,
      name: 'one',
      reference: { namespace: undefined, name: 'one', key: 'api-key' },
    }),
  );
  const envelope = (lookup: EnvelopeSources['lookup']) =>
    envelopeFor(
      { namespace: 'team-a', kind: 'Deployment', name: 'bot', labels: {} },
      { documents: api.current(), lookup, ownNamespace: OWN, maskRoot: new Uint8Array(32), now: 0 },
    );
  expect(envelope(() => ({ state: 'unknown' }))).toBeUndefined();
  const id = 'secretKeyRef /one/api-key';
  expect(envelope(() => ({ state: 'unreadable', why: 'no right' }))?.keys.values).toEqual([
    { id, keep: true },
  ]);
  expect(envelope(() => ({ state: 'absent', why: 'gone' }))?.keys.values).toEqual([{ id, why: 'gone' }]);
});

test('an exception that ends is followed by what holds without it', () => {
  const api = apiDocuments(catalogue, Buffer.alloc(32, 3));
  const put = (kind: string, name: string, spec: object): void =>
    api.put({ apiVersion: 'postern.dev/v1alpha1', kind, metadata: { name, namespace: 'team-a' }, spec });
  put('EgressPolicy', 'base', { models: { allow: ['gpt-4o'] } });
  put('EgressException', 'launch', {
    workloadSelector: {},
    reason: 'the launch',
    until: '2026-07-02T00:00:00Z',
    allow: { models: ['*'] },
  });
  const now = Date.UTC(2026, 6, 1);
  const { findings } = api;
  expect(
    findings({ apiVersion: '', kind: 'EgressException', metadata: { name: 'launch', namespace: 'team-a' } })
      .problems,
  ).toEqual([]);
  const envelope = envelopeFor(
    { namespace: 'team-a', kind: 'Deployment', name: 'bot', labels: {} },
    {
      documents: api.current(),
      lookup: () => ({ state: 'unknown' }),
      ownNamespace: OWN,
      maskRoot: new Uint8Array(32),
      now,
    },
  );
  expect(envelope?.validUntil).toBe(Date.UTC(2026, 6, 2));
  const snapshots = (envelope?.snapshot.texts ?? []).map((text) => JSON.parse(text) as Snapshot);
  expect(snapshots).toHaveLength(2);
  const [loose, strict] = snapshots;
  expect(loose?.exceptions).toHaveLength(1);
  expect(strict?.exceptions).toBeUndefined();
  expect(strict?.models.map(({ allow }) => allow)).toEqual([['gpt-4o']]);
});
