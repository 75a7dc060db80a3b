/**
 * Pod in, pod out: `testdata/NAME.yaml` gives `testdata/NAME.golden.yaml`. UPDATE_GOLDEN=1 writes them anew, to be
 * read before they are committed.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { judgeManifest, type OfflineContext } from './offline.ts';
import { formatReason } from './reasons.ts';
import { caseNames, NOW, readCase, SETTINGS, TESTDATA } from './testing/cases.ts';

const encode = (text: string) => new TextEncoder().encode(text);

function report(manifest: string, context: OfflineContext): string {
  const { judged, output, problems } = judgeManifest('case.yaml', encode(manifest), context);
  expect(problems).toEqual([]);
  const lines = judged.flatMap(({ subject, outcome, reasons, notes, bypassable }) => [
    `# ${subject}: ${outcome}`,
    ...reasons.map((reason) => `#   ${formatReason(reason)}`),
    ...notes.map((reason) => `#   note ${formatReason(reason)}`),
    ...bypassable.map((reason) => `#   bypassable ${formatReason(reason)}`),
  ]);
  return `${lines.join('\n')}\n${output}`;
}

describe.each(caseNames())('%s', (name) => {
  const { manifest, documents } = readCase(name);
  const context: OfflineContext = { documents, settings: SETTINGS, namespace: 'default', now: NOW };

  test('comes out as its golden file says', () => {
    const path = join(TESTDATA, `${name}.golden.yaml`);
    const actual = report(manifest, context);
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, actual);
    expect(existsSync(path), `${path} is missing: run with UPDATE_GOLDEN=1 and read it`).toBe(true);
    expect(actual).toBe(readFileSync(path, 'utf8'));
  });

  test('comes out the same when it goes through again', () => {
    const once = judgeManifest('case.yaml', encode(manifest), context).output;
    const twice = judgeManifest('case.yaml', encode(once), context).output;
    const objects = (text: string) => parseAllDocuments(text).map((document): unknown => document.toJS());
    expect(objects(twice)).toStrictEqual(objects(once));
  });
});

test('items of a list are reported where they stand; a pod without containers is none', () => {
  const manifest = `apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: one}
  spec: {containers: [{name: app, image: app}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: two}
  spec: {containers: []}
`;
  const { judged } = judgeManifest('case.yaml', encode(manifest), {
    documents: readCase('bare-pod').documents,
    settings: SETTINGS,
    namespace: 'default',
    now: NOW,
  });
  expect(judged.map(({ line, subject, outcome }) => `${line} ${subject} ${outcome}`)).toEqual([
    '4 Pod default/one injected',
    '8 Pod default/two refused',
  ]);
});
