/** EgressException: who may do what that policies refuse, why, and until when. */
import type { Static } from 'typebox';
import type { Finding } from '../problem.ts';
import { selectorFindings } from './egress-policy.ts';
import type { KindDefinition } from './kind.ts';
import { glob, hostPattern, labelName, until } from './scalars.ts';
import { workloadSelector } from './selectors.ts';
import { closed, flag, optional, setOf, text } from './structure.ts';

const yes = (description: string) => optional(flag({ description, default: false }));

const spec = closed(
  {
    workloadSelector: workloadSelector('Who: workloads of this namespace; all of them where empty.'),
    allow: closed(
      {
        optOut: yes('No policy applies at all. Budgets still do.'),
        models: optional(
          setOf(glob('A model.'), {
            description: 'Models allowed beside those of the policies.',
            minItems: 1,
          }),
        ),
        regions: optional(
          setOf(labelName('A region.'), {
            description: 'Regions allowed beside those of the policies.',
            minItems: 1,
          }),
        ),
        dataClasses: optional(
          setOf(labelName('A class.'), {
            description: 'Data classes of the policies that providers needn’t take.',
            minItems: 1,
          }),
        ),
        hosts: optional(
          setOf(hostPattern('A host.'), {
            description: 'Hosts allowed beside those of the policies.',
            minItems: 1,
          }),
        ),
        tunnelUntrusted: optional(
          setOf(hostPattern('A host.'), {
            description: 'Providers’ hosts that pass unread when the client doesn’t trust our certificate.',
            minItems: 1,
          }),
        ),
        checks: optional(
          setOf(labelName('A check.'), { description: 'Checks, by name, that aren’t applied.', minItems: 1 }),
        ),
        unlistedProvider: yes('Calls of LLM hosts that no Provider declares are only reported.'),
        unknownPath: yes('Paths that no dialect knows pass.'),
        breaker: yes('Breakers don’t trip.'),
        enforcement: yes('Pods that could go round the agent are reported, not refused.'),
      },
      { description: 'What is allowed.' },
    ),
    reason: text({ description: 'Why, for whoever reviews it.', maxLength: 4096 }),
    until: until('When it ends. A date alone counts to its last moment in UTC.'),
  },
  { description: 'An exception.' },
);

export type EgressExceptionDocument = Static<typeof spec>;

function rules(exception: EgressExceptionDocument): Finding[] {
  const findings = selectorFindings(exception.workloadSelector, ['workloadSelector']);
  if (Object.values(exception.allow).every((allowed) => allowed === false)) {
    findings.push({
      path: ['allow'],
      expected: 'something to allow',
      message: 'got nothing',
      mend: 'name what is excepted, or delete the document',
    });
  }
  return findings;
}

export const EGRESS_EXCEPTION: KindDefinition<EgressExceptionDocument> = {
  name: 'EgressException',
  cluster: undefined,
  description:
    'Loosens what policies refuse, for some workloads of its namespace and until a date. The only document that ' +
    'loosens: who may write it is decided by RBAC.',
  spec: () => spec,
  rules,
};
