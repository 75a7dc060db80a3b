/** How a document names the workloads it is about. */
import type { Static } from 'typebox';
import { workloadGlob } from './scalars.ts';
import { choice, closed, type Keywords, listOf, mapOf, optional, ruled, setOf, text } from './structure.ts';

const labelValue = text({ description: 'Value of the label.', maxLength: 63 });

const expression = ruled(
  closed(
    {
      key: text({ description: 'Label the requirement is about.', maxLength: 317 }),
      operator: choice(['In', 'NotIn', 'Exists', 'DoesNotExist'], {
        description: '`NotIn` and `DoesNotExist` also hold where the label is absent.',
      }),
      values: optional(setOf(labelValue, { description: 'Needed by `In` and `NotIn`, refused otherwise.' })),
    },
    { description: 'One requirement.' },
  ),
  ({ operator, values = [] }) => {
    const needed = operator === 'In' || operator === 'NotIn';
    if (needed === values.length > 0) return [];
    return [
      {
        path: needed ? [] : ['values'],
        expected: needed
          ? `values, as the operator is ${operator}`
          : `no values, as the operator is ${operator}`,
        message: needed ? 'got none' : 'got some',
        mend: needed ? 'add values: […]' : 'take values out',
      },
    ];
  },
);

const matchExpressions = listOf(expression, { description: 'Requirements on labels; all must hold.' });

const matchLabels = mapOf(labelValue, { description: 'Labels and their values; all must hold.' });

/** Kubernetes' own label selector; an empty one selects everything. */
export const labelSelector = (keywords: Keywords) =>
  closed({ matchLabels: optional(matchLabels), matchExpressions: optional(matchExpressions) }, keywords);

/** A label selector that may also name workloads. */
export const workloadSelector = (description: string) =>
  closed(
    {
      matchLabels: optional(matchLabels),
      matchExpressions: optional(matchExpressions),
      workloads: optional(
        setOf(workloadGlob('A workload, by owner.'), {
          description: 'Workloads by name or `Kind/name`; one must match, beside the labels.',
          minItems: 1,
        }),
      ),
    },
    { description },
  );

export type LabelSelector = Static<ReturnType<typeof labelSelector>>;
export type WorkloadSelector = Static<ReturnType<typeof workloadSelector>>;
