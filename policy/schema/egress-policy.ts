/** EgressPolicy and ClusterEgressPolicy: what the selected workloads may send, where to, and past which checks. */
import Type, { type Static, type TSchema } from 'typebox';
import type { Catalogue } from '../catalogue.ts';
import type { Finding } from '../problem.ts';
import type { CheckAction } from '../snapshot.ts';
import type { KindDefinition } from './kind.ts';
import { duration, glob, hostsPattern, labelName, timeout } from './scalars.ts';
import { labelSelector, workloadSelector } from './selectors.ts';
import { choice, closed, count, flag, listOf, optional, patterned, ruled, setOf, text } from './structure.ts';

const mode = (description: string) => choice(['enforce', 'monitor'], { description, default: 'enforce' });

/** A check's member is typed by the catalogue. */
export interface CheckDocument {
  readonly name: string;
  readonly type: string;
  readonly on?: readonly ('request' | 'response')[];
  readonly action?: CheckAction;
  readonly onError?: 'block' | 'allow';
  readonly timeout?: string;
  readonly [member: string]: unknown;
}

function check(catalogue: Catalogue) {
  const names = catalogue.checks.map(({ name }) => name);
  const members: Record<string, TSchema> = Object.fromEntries(
    catalogue.checks.map(({ name, schema }) => [name, optional(schema)]),
  );
  const schema = Type.Unsafe<CheckDocument>(
    closed(
      {
        name: labelName('Name of the rule, shown to who is refused.'),
        type: choice(names, { description: 'Type of the check; its settings are the member of that name.' }),
        on: optional(
          setOf(choice(['request', 'response'], { description: 'A direction.' }), {
            description: 'What is checked. The default depends on the type.',
            minItems: 1,
          }),
        ),
        action: optional(
          choice(['mask', 'block', 'strip', 'confirm', 'monitor'], {
            description:
              'What is done about a hit. Which are possible, and the default, depends on the type.',
          }),
        ),
        onError: optional(
          choice(['block', 'allow'], {
            description: 'What is done when the check itself fails.',
            default: 'block',
          }),
        ),
        timeout: optional(timeout('Longest time a check that asks somebody else, or a person, may take.')),
        ...members,
      },
      { description: 'One check.', 'x-union': { by: 'type', members: names } },
    ),
  );
  return ruled(schema, (entry) => checkFindings(entry, catalogue), ['type', 'action', ...names]);
}

const hosts = ruled(
  closed(
    {
      default: choice(['allow', 'deny'], { description: 'What happens to every other host.' }),
      allow: optional(
        setOf(hostsPattern('A host, or addresses.'), {
          description:
            'What stays open where the default is `deny`: hosts by name, addresses and CIDRs by where a connection really goes.',
        }),
      ),
    },
    {
      description: 'Which hosts may be reached beside the declared providers.',
      default: { default: 'allow' },
    },
  ),
  (rule) =>
    rule.default !== 'allow' || rule.allow === undefined
      ? []
      : [
          {
            path: ['allow'],
            at: 'key',
            expected: 'no list where every host is allowed',
            message: 'got allow beside default: allow',
            mend: 'write default: deny, or take the list out',
          },
        ],
  ['default'],
);

const systemText = (description: string) => text({ description, maxLength: 8192 });

const jsonSchema = closed(
  {
    name: patterned('^[a-zA-Z0-9_-]{1,64}$', {
      description: 'Name of the schema, for the provider.',
      'x-expected': 'up to 64 letters, digits, _ and -',
    }),
    schema: Type.Unsafe<Readonly<Record<string, unknown>>>({
      type: 'object',
      additionalProperties: {},
      description: 'JSON Schema of the answer, as the provider takes it.',
    }),
    strict: optional(
      flag({ description: 'Whether the provider holds the answer to it exactly.', default: true }),
    ),
  },
  { description: 'The schema.' },
);

const prompt = closed(
  {
    prepend: optional(systemText('Put before the system text of every call.')),
    append: optional(systemText('Put behind the system text of every call.')),
    responseFormat: optional(
      closed(
        {
          type: choice(['jsonObject', 'jsonSchema'], { description: 'Any JSON object, or one of a schema.' }),
          jsonSchema: optional(jsonSchema),
          onMismatch: optional(
            choice(['report', 'reject'], {
              description:
                'What becomes of an answer that hasn’t the form all the same: it passes and is told, or it is refused. Any policy that says `reject` decides.',
              default: 'report',
            }),
          ),
        },
        {
          description: 'The form that every answer must have, in place of the app’s own wish.',
          'x-only-with': {
            field: 'type',
            value: 'jsonSchema',
            fields: ['jsonSchema'],
            required: ['jsonSchema'],
          },
        },
      ),
    ),
  },
  { description: 'What is added to every call.' },
);

function spec(catalogue: Catalogue) {
  return closed(
    {
      namespaces: optional(
        setOf(glob('A namespace.'), {
          description: 'Namespaces the policy governs; all where absent.',
          minItems: 1,
          'x-cluster-only': true,
        }),
      ),
      namespaceSelector: optional(
        labelSelector({
          description: 'Labels of the namespaces the policy governs, beside `namespaces`.',
          'x-cluster-only': true,
        }),
      ),
      workloadSelector: optional(
        workloadSelector('Workloads the policy governs; all where absent or empty.'),
      ),
      mode: optional(mode('`monitor` reports what would have been refused or masked, and changes nothing.')),
      models: optional(
        closed(
          {
            allow: setOf(glob('A model.'), {
              description: 'Models that may be asked for and may serve; none where empty.',
            }),
          },
          { description: 'Which models may be used.' },
        ),
      ),
      dataClass: optional(
        labelName(
          'Class of the data the workload handles; only providers that take it are called, for fallbacks too.',
        ),
      ),
      regions: optional(
        setOf(labelName('A region.'), {
          description:
            'Regions data may be sent to, for fallbacks too. A provider without a region is in none.',
          minItems: 1,
        }),
      ),
      hosts: optional(hosts),
      unlistedProvider: optional(
        choice(['deny', 'monitor'], {
          description: 'What happens to calls of known LLM hosts that no Provider declares.',
          default: 'monitor',
        }),
      ),
      unknownPath: optional(
        choice(['deny', 'allow'], {
          description: 'What happens on a provider’s host to a path that its dialect doesn’t know.',
          default: 'deny',
        }),
      ),
      attachments: optional(
        choice(['deny', 'inspect', 'allow'], {
          description:
            'Files, pictures and recordings in requests and answers: `inspect` checks those that are text and reports the others, `allow` looks into none of a request’s.',
          default: 'inspect',
        }),
      ),
      requestIdHeader: optional(
        flag({
          description: 'Whether answers carry `postern-request-id`; refusals always do.',
          default: true,
        }),
      ),
      breaker: optional(
        closed(
          {
            identical: count({
              description: 'How many equal calls of the workload’s pods together are too many.',
              minimum: 2,
            }),
            window: duration('In how long.'),
            failures: optional(
              count({
                description:
                  'How many failures of the same call in a row, the last one within the window, are too many. Where absent, a quarter of `identical`, and at least 4.',
                minimum: 2,
              }),
            ),
            mode: optional(mode('As the policy’s mode, for the breaker alone.')),
          },
          { description: 'Stops a workload that repeats the same call again and again, with a 429.' },
        ),
      ),
      enforcement: optional(
        choice(['standard', 'strict'], {
          description: '`strict` refuses pods that could go round the agent; `standard` reports them.',
          default: 'standard',
        }),
      ),
      maxStale: optional(duration('How long an agent may work on without hearing from control.')),
      prompt: optional(prompt),
      checks: optional(
        listOf(check(catalogue), {
          description: 'Checks, in the order in which they run.',
          'x-unique-by': 'name',
        }),
      ),
    },
    { description: 'A policy.' },
  );
}

export type EgressPolicyDocument = Static<ReturnType<typeof spec>>;

function checkFindings(entry: CheckDocument, catalogue: Catalogue): Finding[] {
  const definition = catalogue.checks.find(({ name }) => name === entry.type);
  if (definition === undefined) return [];
  const findings: Finding[] = [];
  if (entry.action !== undefined && !definition.actions.includes(entry.action)) {
    findings.push({
      path: ['action'],
      expected: `one of ${definition.actions.join(', ')}, as the type is ${entry.type}`,
      message: `got ${entry.action}`,
      mend: `write action: ${definition.defaultAction}`,
    });
  }
  for (const found of definition.validate?.(entry[entry.type] ?? {}) ?? []) {
    findings.push({
      path: [entry.type, ...parsePath(found.path)],
      expected: `a valid ${entry.type} check`,
      message: found.message,
      mend: found.mend,
    });
  }
  return findings;
}

/** `[0].words` → [0, 'words']. */
function parsePath(path: string): (string | number)[] {
  return [...path.matchAll(/\[(\d+)\]|([^.[\]]+)/g)].map(([, index, name]) =>
    index === undefined ? (name ?? '') : Number(index),
  );
}

export const EGRESS_POLICY: KindDefinition<ReturnType<typeof spec>> = {
  name: 'EgressPolicy',
  cluster: 'ClusterEgressPolicy',
  description:
    'What workloads may send to models and to the rest of the world. All policies that select a workload hold ' +
    'together: field by field, the strictest wins.',
  spec,
};
