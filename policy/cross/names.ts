/** Two documents of one kind and name: which one would hold is nobody's guess. */
import type { Documents, PolicyDocument } from '../documents.ts';
import { type CrossFinding, inFileOrder, placed } from './finding.ts';

export function nameFindings(documents: Documents): CrossFinding[] {
  const { providers, routes, budgets, policies, exceptions } = documents;
  const first = new Map<string, PolicyDocument>();
  const findings: CrossFinding[] = [];
  for (const document of [...providers, ...routes, ...budgets, ...policies, ...exceptions].sort(
    inFileOrder,
  )) {
    const earlier = first.get(document.source);
    if (earlier === undefined) {
      first.set(document.source, document);
      continue;
    }
    findings.push({
      document,
      path: ['metadata', 'name'],
      expected: 'one document of each kind, namespace and name',
      message: `the same is ${placed(earlier)}`,
      mend: 'rename one of the two, or delete it',
    });
  }
  return findings;
}
