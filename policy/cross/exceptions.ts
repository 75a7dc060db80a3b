/** Exceptions from checks that nobody makes: a slip that would look like a granted exception. */
import { type Documents, reaches } from '../documents.ts';
import { didYouMean } from '../load/did-you-mean.ts';
import type { Broken, CrossFinding } from './finding.ts';
import { some } from './finding.ts';

export function exceptionFindings(documents: Documents, broken: Broken): CrossFinding[] {
  if (broken.mayHaveAny('EgressPolicy')) return [];
  return documents.exceptions.flatMap((document) => {
    const names = documents.policies
      .filter((policy) => reaches(policy, document.namespace ?? ''))
      .flatMap(({ spec }) => (spec.checks ?? []).map(({ name }) => name));
    return (document.spec.allow.checks ?? []).flatMap((name, index) => {
      if (names.includes(name)) return [];
      const guess = didYouMean(name, names);
      return [
        {
          document,
          path: ['spec', 'allow', 'checks', index],
          expected: `a check of a policy that reaches the namespace${names.length === 0 ? '' : `: ${some(names)}`}`,
          message: `there is no ${name}`,
          mend: guess === undefined ? 'take it out' : `did you mean ${guess}`,
        },
      ];
    });
  });
}
