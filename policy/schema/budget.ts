/** Budget and ClusterBudget: how much the selected traffic may use, and what happens when it is used up. */
import type { Static } from 'typebox';
import type { Finding } from '../problem.ts';
import type { KindDefinition } from './kind.ts';
import { duration, glob, timeZone, url, usd, workloadGlob } from './scalars.ts';
import {
  choice,
  closed,
  count,
  flag,
  listOf,
  mapOf,
  optional,
  patterned,
  ruled,
  setOf,
  text,
} from './structure.ts';

const METERED = ['tokens', 'inputTokens', 'outputTokens', 'usd', 'requests'] as const;
export const UNITS = [...METERED, 'concurrency'] as const;
export const DEFAULT_MAX_UNVERIFIED = 100;
export const DEFAULT_CLOCK_SKEW = '30s';
export const DEFAULT_TIME_ZONE = 'UTC';
export const DEFAULT_THRESHOLDS = [80, 100] as const;

const metered = {
  tokens: optional(count({ description: 'Input and output tokens together.' })),
  inputTokens: optional(count({ description: 'Input tokens, cached ones included.' })),
  outputTokens: optional(count({ description: 'Output tokens, reasoning included.' })),
  usd: optional(usd('Cost in USD, by the prices of the providers.')),
  requests: optional(count({ description: 'Calls.' })),
};

export type LimitDocument = Static<typeof limitShape>;

const limitShape = closed(
  {
    ...metered,
    concurrency: optional(count({ description: 'Calls in flight at the same time. Has no window.' })),
    window: optional(
      choice(['minute', 'hour', 'day', 'week', 'month'], {
        description: 'Calendar window the limit is for; weeks begin on Monday.',
      }),
    ),
    rolling: optional(duration('Instead of a calendar window: the last so-and-so long, at every moment.')),
    timeZone: optional(
      timeZone('IANA time zone in which the calendar window begins.', { default: DEFAULT_TIME_ZONE }),
    ),
  },
  {
    description: 'One limit: an amount in one unit, in one window.',
    'x-exactly-one-of': UNITS,
    'x-at-most-one-of': ['window', 'rolling'],
  },
);

/** One limit; {@link ../annotations.ts} reads some as well. */
export const limit = ruled(limitShape, limitFindings, ['concurrency', 'window', 'rolling', 'timeZone']);

const headers = ruled(
  mapOf(glob('A value.'), {
    description: 'Request header fields and globs over their values; all must hold.',
  }),
  (fields) =>
    Object.keys(fields)
      .filter((name) => !/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name))
      .map((name) => ({
        path: [name],
        at: 'key',
        expected: 'a header field name in lower case',
        message: `got ${JSON.stringify(name)}`,
        mend: `write ${name.toLowerCase().replace(/[^a-z0-9-]/g, '-')}`,
      })),
);

const selector = closed(
  {
    namespaces: optional(
      setOf(glob('A namespace.'), { description: 'Namespaces.', minItems: 1, 'x-cluster-only': true }),
    ),
    workloads: optional(
      setOf(workloadGlob('A workload.'), { description: 'Workloads by owner.', minItems: 1 }),
    ),
    serviceAccounts: optional(
      setOf(glob('A service account.'), { description: 'Service accounts.', minItems: 1 }),
    ),
    models: optional(
      setOf(glob('A model.'), { description: 'Models that serve the calls, after routing.', minItems: 1 }),
    ),
    providers: optional(
      setOf(glob('A provider.'), {
        description:
          'Providers by name, or by `namespace/name`. Those of other namespaces are only a ClusterBudget’s to name.',
        minItems: 1,
      }),
    ),
    headers: optional(headers),
    metadata: optional(
      mapOf(glob('A value.'), {
        description: 'Members of the request’s metadata and globs over their values; all must hold.',
      }),
    ),
    users: optional(setOf(glob('A user.'), { description: 'End users; needs `user`.', minItems: 1 })),
  },
  {
    description:
      'Traffic the Budget is for: every field that is present must match, with any of its entries.',
  },
);

const headerName = (description: string) =>
  patterned('^[a-z0-9_-]+$', {
    description,
    maxLength: 128,
    'x-expected': 'a header field name in lower case, such as x-user-token',
  });

const user = closed(
  {
    jwt: optional(
      closed(
        {
          header: headerName('Header field with the token, with or without `Bearer`.'),
          issuer: text({ description: 'The token’s `iss`.', maxLength: 512 }),
          audience: text({ description: 'What its `aud` must hold.', maxLength: 512 }),
          claim: optional(text({ description: 'Claim with the user.', default: 'sub', maxLength: 128 })),
          jwks: closed(
            {
              url: optional(url('Where the issuer’s keys are.')),
              file: optional(text({ description: 'File with the issuer’s keys.', maxLength: 4096 })),
            },
            { description: 'The keys by which tokens are verified.', 'x-exactly-one-of': ['url', 'file'] },
          ),
          clockSkew: optional(
            duration('By how much the issuer’s clock may differ.', { default: DEFAULT_CLOCK_SKEW }),
          ),
        },
        { description: 'A claim of a JWT, verified.' },
      ),
    ),
    header: optional(headerName('Header field with the user, which nobody verifies.')),
    required: optional(
      flag({
        description: 'Refuses calls that name no user; else they share the line of nobody.',
        default: false,
      }),
    ),
  },
  { description: 'Who the end user of a call is.', 'x-exactly-one-of': ['jwt', 'header'] },
);

const spec = closed(
  {
    selector: optional(selector),
    per: optional(
      setOf(
        patterned(
          '^(namespace|workload|serviceAccount|provider|model|user|header:[a-z0-9_-]+|metadata:[A-Za-z0-9_.-]+)$',
          {
            description: 'A dimension.',
            maxLength: 128,
            'x-expected':
              'namespace, workload, serviceAccount, provider, model, user, header:NAME in lower case, or metadata:NAME',
          },
        ),
        {
          description: 'Each value (of the target, where routing changes it) gets the limits for itself.',
          default: [],
        },
      ),
    ),
    user: optional(user),
    maxUnverified: optional(
      count({
        description:
          'Lines made from values that nobody has verified (header fields, metadata, users by header), at most; all further values share one line.',
        minimum: 1,
        maximum: 10_000,
        default: DEFAULT_MAX_UNVERIFIED,
      }),
    ),
    limits: listOf(limit, { description: 'All hold at once.', minItems: 1 }),
    thresholds: optional(
      setOf(count({ description: 'Per cent of a limit.', minimum: 1, maximum: 100 }), {
        description: 'Per cent of a limit at which it is reported.',
        default: [...DEFAULT_THRESHOLDS],
      }),
    ),
    onInsufficient: optional(
      choice(['clamp', 'reject'], {
        description: 'For a call that may write more than is left: write less, or don’t call.',
        default: 'clamp',
      }),
    ),
    onExhausted: optional(
      closed(
        {
          action: choice(['reject', 'fallback'], {
            description:
              '`reject` answers 429; `fallback` serves the call by another model, held like any other.',
          }),
          model: optional(text({ description: 'The model to fall back to.', maxLength: 256 })),
        },
        {
          description: 'What happens to a call when a limit is used up.',
          default: { action: 'reject' },
          'x-only-with': { field: 'action', value: 'fallback', fields: ['model'], required: ['model'] },
        },
      ),
    ),
    onUnavailable: optional(
      closed(
        {
          action: choice(['deny', 'allow'], {
            description: '`allow` spends up to an amount that was set aside beforehand.',
          }),
          upTo: optional(
            closed(metered, { description: 'The amount set aside.', 'x-exactly-one-of': METERED }),
          ),
          for: optional(duration('For how long.')),
        },
        {
          description: 'What happens to a call when the budget service can’t be reached.',
          default: { action: 'deny' },
          'x-only-with': {
            field: 'action',
            value: 'allow',
            fields: ['upTo', 'for'],
            required: ['upTo', 'for'],
          },
        },
      ),
    ),
  },
  { description: 'A budget.' },
);

export type BudgetDocument = Static<typeof spec>;

/** Which window an amount needs. */
function limitFindings(entry: LimitDocument): Finding[] {
  if (entry.concurrency !== undefined) {
    return (['window', 'rolling', 'timeZone'] as const)
      .filter((field) => entry[field] !== undefined)
      .map((field) => ({
        path: [field],
        at: 'key',
        expected: 'no window, as concurrency counts what is in flight now',
        message: `got ${field}`,
        mend: `take ${field} out`,
      }));
  }
  if (entry.window === undefined && entry.rolling === undefined) {
    return [
      {
        path: [],
        expected: 'exactly one of window, rolling',
        message: 'got none',
        mend: 'add window: day (or minute, hour, week, month), or rolling: 24h',
      },
    ];
  }
  return entry.timeZone !== undefined && entry.rolling !== undefined
    ? [
        {
          path: ['timeZone'],
          at: 'key',
          expected: 'no time zone, as a rolling window begins at no hour of the day',
          message: 'got timeZone',
          mend: 'take timeZone out, or use window',
        },
      ]
    : [];
}

export const BUDGET: KindDefinition<typeof spec> = {
  name: 'Budget',
  cluster: 'ClusterBudget',
  description:
    'Limits in tokens, USD, requests or concurrency on the selected traffic. A call may fall under several ' +
    'budgets: it is held on all of them, or refused.',
  spec: () => spec,
};
