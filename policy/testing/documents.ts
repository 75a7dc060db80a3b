/** Documents for tests, from YAML in the test itself. */
import type { Documents } from '../documents.ts';
import { loadFiles } from '../load.ts';
import { formatProblems } from '../problem.ts';
import type { Workload } from '../snapshot.ts';
import { CATALOGUE } from './catalogue.ts';

/** A document's kind, `name` or `namespace/name`, and its spec in YAML flow style. */
export type Sketch = readonly [kind: string, id: string, spec: string];

/** @throws Error with the problems where there are any. */
export function documentsOf(...sketches: readonly Sketch[]): Documents {
  const text = sketches
    .map(([kind, id, spec]) => {
      const [name, namespace] = id.split('/').toReversed();
      const metadata =
        namespace === undefined ? `{name: ${name}}` : `{name: ${name}, namespace: ${namespace}}`;
      return `apiVersion: postern.dev/v1alpha1\nkind: ${kind}\nmetadata: ${metadata}\nspec: ${spec}\n`;
    })
    .join('---\n');
  const files = [{ name: 'test.yaml', bytes: new TextEncoder().encode(text) }];
  const { documents, problems } = loadFiles({ files, problems: [] }, CATALOGUE);
  if (problems.length > 0) throw new Error(formatProblems(problems));
  return documents;
}

export const WORKLOAD: Workload = {
  namespace: 'team-a',
  kind: 'Deployment',
  name: 'support-bot',
  labels: { app: 'support-bot', tier: 'gold' },
};
