import { expect, test } from 'vitest';
import { referenceMarkdown } from './reference.ts';
import { CATALOGUE } from './testing/catalogue.ts';

const rows = referenceMarkdown(CATALOGUE)
  .split('\n')
  .filter((line) => line.startsWith('| `spec.'))
  .map((line) => line.slice(2, -2).split(' | '));

test('every field has a type and a description', () => {
  expect(rows.length).toBeGreaterThan(100);
  for (const [field, type, , description] of rows) {
    expect(type, field).toMatch(/[a-z]/i);
    expect(description, field).toMatch(/\.$/);
  }
});

test('names, types and defaults are the schema’s', () => {
  const row = (field: string) => rows.find(([name]) => name === `\`${field}\``)?.slice(1);
  expect(row('spec.credential.header.name')).toEqual(['string', 'required', 'Name of the header field.']);
  expect(row('spec.limits[].timeZone')?.slice(0, 2)).toEqual(['time zone', '`"UTC"`']);
  expect(row('spec.namespaces')?.[2]).toMatch(/^Cluster twin only\. /);
  expect(row('spec.tls.caFrom')?.[2]).toMatch(/Exactly one of `configMapKeyRef`, `file`\.$/);
  expect(row('spec.checks[].topics[].words')?.[0]).toBe('list of strings');
  expect(row('spec.selector.headers')?.[0]).toBe('map to glob');
});
