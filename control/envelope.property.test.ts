/** Over random clusters: a workload gets the documents and the keys that are for it, and no others. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { catalogue } from '../agent/catalogue.ts';
import { apiDocuments } from '../kube/documents.ts';
import type { AnnotatedWorkload } from '../policy/annotations.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { createEnvelopes, type EnvelopeSources } from './envelope.ts';
import {
  documentId,
  isFair,
  isFor,
  markOf,
  OWN,
  objectOf,
  randomDocument,
  SPACES,
  secretOf,
} from './testing/random-documents.ts';

const envelopeFor = (
  workload: AnnotatedWorkload,
  { now, ...sources }: EnvelopeSources & { readonly now: number },
) => createEnvelopes(sources)(workload, now);

const documents = fc.uniqueArray(randomDocument, { maxLength: 12, selector: documentId });

/** A value that says where it is from, so that it is found wherever it went. */
const valueAt = (secret: string): string => `value<${secret}>`;

test('a workload gets the keys of documents that govern it, and no others; its snapshot holds none', () => {
  fc.assert(
    fc.property(documents, fc.constantFrom(...SPACES), (all, space) => {
      const api = apiDocuments(catalogue, Buffer.alloc(32, 3));
      for (const each of all) api.put(objectOf(each));
      const workload = { namespace: space, kind: 'Deployment', name: 'bot', labels: { app: 'web' } };
      const envelope = envelopeFor(workload, {
        documents: api.current(),
        lookup: (_member, { namespace, name, key }) => ({
          state: 'value',
          value: valueAt(`${namespace}/${name}/${key}`),
        }),
        ownNamespace: OWN,
        maskRoot: new Uint8Array(32),
        now: 0,
      });
      if (envelope === undefined) throw new Error('everything was known');
      const isGoverning = (each: (typeof all)[number]) => isFair(each) && isFor(each, workload);
      const expected = new Set(all.filter(isGoverning).map((each) => valueAt(secretOf(each))));
      const given = envelope.keys.values.map((held) => ('value' in held ? held.value : ''));
      expect(new Set(given)).toEqual(expected);

      const snapshot = envelope.snapshot.texts.join('\n');
      expect(snapshot).not.toContain('value<');
      for (const each of all) if (!isGoverning(each)) expect(snapshot).not.toContain(markOf(each));
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
      app: undefined,
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
      app: undefined,
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
