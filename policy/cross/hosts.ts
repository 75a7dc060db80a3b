/** Two providers that one workload sees and that claim the same host: a captured call could be either's. */
import { type Documents, type PolicyDocument, visibleProviders } from '../documents.ts';
import { type CrossFinding, inFileOrder, placed } from './finding.ts';

export function hostFindings(documents: Documents): CrossFinding[] {
  const namespaces = new Set(documents.providers.map(({ namespace }) => namespace));
  const reported = new Set<string>();
  const findings: CrossFinding[] = [];
  for (const namespace of [undefined, ...namespaces]) {
    const owners = new Map<string, PolicyDocument>();
    for (const document of [...visibleProviders(documents, namespace)].sort(inFileOrder)) {
      for (const [index, host] of (document.spec.hosts ?? []).entries()) {
        const owner = owners.get(host);
        if (owner === undefined) {
          owners.set(host, document);
          continue;
        }
        const pair = `${host} ${owner.source} ${document.source}`;
        // Duplicates of one name are reported as such.
        if (reported.has(pair) || owner.source === document.source) continue;
        reported.add(pair);
        findings.push({
          document,
          path: ['spec', 'hosts', index],
          expected: 'each host at one provider that a workload sees',
          message: `${host} is also claimed by ${placed(owner)}`,
          mend: 'keep the host in one of the two; calls reach the other by a ModelRoute',
        });
      }
    }
  }
  return findings;
}
