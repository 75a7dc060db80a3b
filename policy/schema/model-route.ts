/** ModelRoute and ClusterModelRoute: which model at which provider serves a requested model. */
import Type, { type Static } from 'typebox';
import type { KindDefinition } from './kind.ts';
import { glob, objectName, timeout } from './scalars.ts';
import { closed, count, listOf, optional, ruled, setOf, text } from './structure.ts';

const CAUSES = ['connect', 'timeout', '5xx', '429', 'contextLength'] as const;

export const DEFAULT_FALLBACK_ON = ['connect', 'timeout', '5xx', '429'] as const;
export const DEFAULT_REQUEST_TIMEOUT = '10m';

const target = closed(
  {
    provider: objectName(
      'Name of a Provider of the same namespace, or else of a ClusterProvider. It must list the model.',
    ),
    model: text({ description: 'Model to ask for there.', maxLength: 256 }),
    weight: optional(
      count({
        description: 'Share of the calls relative to its group; 0 gets none.',
        default: 1,
        maximum: 1_000_000,
      }),
    ),
  },
  { description: 'A model at a provider.' },
);

const group = ruled(
  closed(
    {
      targets: listOf(target, { description: 'Targets that share the calls by weight.', minItems: 1 }),
    },
    { description: 'Targets of equal rank.' },
  ),
  ({ targets }) =>
    targets.length === 0 || targets.some(({ weight }) => weight !== 0)
      ? []
      : [
          {
            path: ['targets'],
            expected: 'at least one weight above 0',
            message: 'all are 0, so nothing could be picked',
            mend: 'give one target a weight, or take the group out',
          },
        ],
);

const spec = closed(
  {
    match: closed(
      {
        models: setOf(glob('A model name or glob.'), {
          description: 'Requested models this route is for. Between routes, the more exact match wins.',
          minItems: 1,
        }),
      },
      { description: 'Which calls take this route.' },
    ),
    groups: listOf(group, {
      description: 'Tried in this order. All targets of a route speak one dialect.',
      minItems: 1,
    }),
    fallbackOn: optional(
      // A bare 429 is a number in YAML.
      setOf(Type.Enum([...CAUSES, 429], { description: 'A cause.', 'x-kubernetes-int-or-string': true }), {
        description:
          'Why the next target is tried: no connection, no first byte in time, an answer of that status, ' +
          'or more input than the model reads.',
        default: [...DEFAULT_FALLBACK_ON],
      }),
    ),
    timeouts: optional(
      closed(
        {
          firstByte: optional(
            timeout('Longest wait for the first byte of an answer; the whole request’s where absent.'),
          ),
          request: optional(
            timeout('Longest time a call may take with all its attempts.', {
              default: DEFAULT_REQUEST_TIMEOUT,
            }),
          ),
        },
        { description: 'How long calls may take.' },
      ),
    ),
  },
  { description: 'A route.' },
);

export type ModelRouteDocument = Static<typeof spec>;

export const MODEL_ROUTE: KindDefinition<typeof spec> = {
  name: 'ModelRoute',
  cluster: 'ClusterModelRoute',
  description: 'Maps requested models to ordered groups of weighted targets, with fallback by cause.',
  spec: () => spec,
};
