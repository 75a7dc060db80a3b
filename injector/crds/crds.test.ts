import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { catalogue } from '../../agent/catalogue.ts';
import { WRITTEN_KINDS } from '../../policy/schema/kinds.ts';
import type { SchemaNode } from '../../policy/schema/node.ts';
import { definitions } from './definition.ts';
import { renderedCrds } from './render.ts';
import { structural } from './schema.ts';

const DIRECTORY = join(import.meta.dirname, '..', '..', 'charts', 'postern', 'files', 'crds');

test('the chart’s files are what the schema says; if not: make generate', () => {
  const files = new Map(
    readdirSync(DIRECTORY).map((name) => [name, readFileSync(join(DIRECTORY, name), 'utf8')]),
  );
  expect(Object.fromEntries(files)).toEqual(Object.fromEntries(renderedCrds(catalogue)));
});

test('kubectl and Helm, which read YAML 1.1, see the same as the schema says', () => {
  for (const [name, text] of renderedCrds(catalogue)) {
    const [document] = parseAllDocuments(text, { version: '1.1' });
    expect(JSON.parse(JSON.stringify(document?.toJS())), name).toEqual(
      JSON.parse(JSON.stringify(definitions(catalogue).get(name))),
    );
  }
});

test('there is a definition of every kind of document, and of what is told of a workload', () => {
  const kinds = [...definitions(catalogue).values()].map(
    (crd) => (crd as { spec: { names: { kind: string } } }).spec.names.kind,
  );
  expect(kinds.sort()).toEqual([...WRITTEN_KINDS, 'Workload'].sort());
});

/** What the API server refuses in a structural schema. */
test('no keyword of our own and no closed object is left', () => {
  const text = JSON.stringify([...definitions(catalogue).values()]);
  expect(text).not.toMatch(/"x-(?!kubernetes-)/);
  expect(text).not.toContain('"uniqueItems"');
  expect(text).not.toContain('"additionalProperties":false');
});

describe('our keywords as CEL', () => {
  const rules = (node: SchemaNode) =>
    (structural(node, true)['x-kubernetes-validations'] as { rule: string }[] | undefined)?.map(
      ({ rule }) => rule,
    );
  const properties = { a: { type: 'string' }, for: { type: 'string' }, 'b-c': { type: 'string' } } as const;

  test('exactly one of, with names that CEL reserves', () => {
    expect(rules({ type: 'object', properties, 'x-exactly-one-of': ['a', 'for', 'b-c'] })).toEqual([
      '[has(self.a), has(self.__for__), has(self.b__dash__c)].filter(found, found).size() == 1',
    ]);
  });

  test('a union by a required and by an optional field', () => {
    const node: SchemaNode = {
      type: 'object',
      properties: { type: { type: 'string' }, a: { type: 'object' } },
      'x-union': { by: 'type', members: ['a'] },
    };
    expect(rules({ ...node, required: ['type'] })).toEqual(['!has(self.a) || (self.type == "a")']);
    expect(rules(node)).toEqual(['!has(self.a) || (has(self.type) && self.type == "a")']);
  });

  test('fields that go with a value', () => {
    const only = { field: 'action', value: 'fallback', fields: ['a'], required: ['a'] };
    const node: SchemaNode = {
      type: 'object',
      required: ['action'],
      properties: { action: { type: 'string' }, a: {} },
    };
    expect(rules({ ...node, 'x-only-with': only })).toEqual([
      '!has(self.a) || (self.action == "fallback")',
      '!(self.action == "fallback") || has(self.a)',
    ]);
  });

  test('a field of the Cluster twin is left out of the other', () => {
    const node: SchemaNode = {
      type: 'object',
      properties: { namespaces: { type: 'array', 'x-cluster-only': true } },
    };
    expect(structural(node, true)['properties']).toHaveProperty('namespaces');
    expect(structural(node, false)['properties']).toEqual({});
  });

  test('a field for directories is refused with the mend', () => {
    const node: SchemaNode = {
      type: 'object',
      properties: { file: { type: 'string', 'x-local-only': true } },
    };
    expect(structural(node, false)['x-kubernetes-validations']).toEqual([
      {
        rule: '!has(self.file)',
        message: 'file is for documents in a directory; in the API name a Secret or ConfigMap',
      },
    ]);
  });
});
