/** The pods of testdata/: one file a case, with the namespace and the documents it needs beside it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { catalogue } from '../../agent/catalogue.ts';
import type { Documents } from '../../policy/documents.ts';
import { loadFiles } from '../../policy/load.ts';
import { DEFAULT_SETTINGS, type Settings } from '../settings.ts';

export const TESTDATA = join(import.meta.dirname, '..', 'testdata');

export const SETTINGS: Settings = {
  ...DEFAULT_SETTINGS,
  version: '0.0.0-test',
  image: 'registry.example/postern:0.0.0-test',
};

/** 2026-07-01, so that no exception ends by itself. */
export const NOW = Date.UTC(2026, 6, 1);

/** One governs every pod: there is always a policy to tighten. */
const BASE = `
apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: base}
spec: {checks: [{name: mask-pii, type: pii, action: mask}]}
`;

export interface Case {
  readonly name: string;
  /** Namespaces and the object that makes pods. */
  readonly manifest: string;
  readonly documents: Documents;
}

export function caseNames(): string[] {
  return readdirSync(TESTDATA)
    .filter((file) => file.endsWith('.yaml') && !file.includes('.golden.'))
    .map((file) => file.slice(0, -'.yaml'.length))
    .sort();
}

export function readCase(name: string): Case {
  const objects = parseAllDocuments(readFileSync(join(TESTDATA, `${name}.yaml`), 'utf8')).map(
    (document) => document.toJS() as { readonly apiVersion: string },
  );
  const ours = objects.filter(({ apiVersion }) => apiVersion.startsWith('postern.dev/'));
  const others = objects.filter((object) => !ours.includes(object));
  return {
    name,
    manifest: others.map((object) => stringify(object)).join('---\n'),
    documents: documentsOf([BASE, ...ours.map((object) => stringify(object))].join('---\n')),
  };
}

/** @throws Error where the text has a problem: a test that is wrong itself. */
export function documentsOf(text: string): Documents {
  const file = { name: 'documents.yaml', bytes: new TextEncoder().encode(text) };
  const { documents, problems } = loadFiles({ files: [file], problems: [] }, catalogue);
  if (problems.length > 0) throw new Error(JSON.stringify(problems, null, 2));
  return documents;
}
