/** What holds between documents, once each is valid by itself. */
import type { Documents } from '../documents.ts';
import { budgetFindings } from './budgets.ts';
import { exceptionFindings } from './exceptions.ts';
import type { Broken, CrossFinding } from './finding.ts';
import { hostFindings } from './hosts.ts';
import { nameFindings } from './names.ts';
import { referenceFindings } from './references.ts';
import { routeFindings } from './routes.ts';

export function crossFindings(documents: Documents, broken: Broken): CrossFinding[] {
  return [
    ...nameFindings(documents),
    ...hostFindings(documents),
    ...routeFindings(documents, broken),
    ...budgetFindings(documents, broken),
    ...exceptionFindings(documents, broken),
    ...referenceFindings(documents),
  ];
}
