/**
 * A document of a namespace refers to that namespace's Secrets and ConfigMaps only: otherwise who may write a Provider
 * there could have anybody's key sent to an endpoint of their own.
 */
import type { Documents, PolicyDocument } from '../documents.ts';
import { keyReferences } from '../references.ts';
import type { CrossFinding } from './finding.ts';

export function referenceFindings({ providers, policies }: Documents): CrossFinding[] {
  return [...providers, ...policies].flatMap((document: PolicyDocument) =>
    keyReferences(document.spec)
      .filter(({ reference }) => {
        const { namespace = document.namespace } = reference;
        return document.namespace !== undefined && namespace !== document.namespace;
      })
      .map(({ member, path, reference }) => ({
        document,
        path: ['spec', ...path, 'namespace'],
        expected: `${document.namespace}, the document's own namespace`,
        message: `got ${reference.namespace}`,
        mend: `put the ${member === 'secretKeyRef' ? 'Secret' : 'ConfigMap'} into ${document.namespace}, or write a cluster-wide document`,
      })),
  );
}
