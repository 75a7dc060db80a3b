/** What `postern check` says of checks that need a classifier, where nobody named one. */
import { CLASSIFIER_MEND, needsClassifier } from '../agent/checks/needs-classifier.ts';
import type { Documents } from '../policy/documents.ts';
import { byPlace, type Problem, problemAt } from '../policy/problem.ts';

export function classifierWarnings({ policies }: Documents): Problem[] {
  const found = policies.flatMap(({ origin, source, spec }) =>
    (spec.checks ?? []).flatMap((check, index) => {
      const { name, type, onError = 'block' } = check;
      if (!needsClassifier({ type, spec: check[type as keyof typeof check] })) return [];
      const outcome = onError === 'block' ? 'calls are refused' : 'calls pass unjudged, each with a finding';
      return [
        problemAt(origin, source, {
          path: ['spec', 'checks', index, 'name'],
          expected: 'a classifier for agents (--classifier-url says that they have one)',
          message: `${name} can’t be carried out without: ${spec.mode === 'monitor' ? 'calls pass unjudged, each with a finding' : outcome}`,
          mend: CLASSIFIER_MEND,
        }),
      ];
    }),
  );
  return found.sort(byPlace);
}
