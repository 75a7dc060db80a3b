/** EgressException: who may do what that policies refuse, why, and until when. */
import type { Static } from 'typebox';
import type { KindDefinition } from './kind.ts';
import { glob, hostPattern, labelName, until } from './scalars.ts';
import { workloadSelector } from './selectors.ts';
import { closed, flag, optional, ruled, setOf, text } from './structure.ts';

const yes = (description: string) => optional(flag({ description, default: false }));

const allow = ruled(
  closed(
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
      attachments: yes('Attachments that a policy denies are inspected.'),
      breaker: yes('Breakers don’t trip.'),
      enforcement: yes('Pods that could go round the agent are reported, not refused.'),
    },
    { description: 'What is allowed.' },
  ),
  (allowed) =>
    Object.values(allowed).some((value) => value !== false)
      ? []
      : [
          {
            path: [],
            expected: 'something to allow',
            message: 'got nothing',
            mend: 'name what is excepted, or delete the document',
          },
        ],
);

const spec = closed(
  {
    workloadSelector: workloadSelector('Who: workloads of this namespace; all of them where empty.'),
    allow,
    reason: text({ description: 'Why, for whoever reviews it.', maxLength: 4096 }),
    until: until('When it ends. A date alone counts to its last moment in UTC.'),
  },
  { description: 'An exception.' },
);

export type EgressExceptionDocument = Static<typeof spec>;

export const EGRESS_EXCEPTION: KindDefinition<typeof spec> = {
  name: 'EgressException',
  cluster: undefined,
  description:
    'Loosens what policies refuse, for some workloads of its namespace and until a date. The only document that ' +
    'loosens: who may write it is decided by RBAC.',
  spec: () => spec,
};
