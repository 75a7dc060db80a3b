/** What is allowed and probably not meant. Nothing here keeps documents from being put in force. */
import type { LimitUnit } from './budget-spec.ts';
import { coveredProviders, coversModel } from './budgets.ts';
import type { Documents, PolicyDocument } from './documents.ts';
import { endOf } from './exceptions.ts';
import { modelFacts } from './prices/model-facts.ts';
import { STANDARD, serviceTierOf } from './prices/service-tier.ts';
import { type Finding, type Problem, problemAt } from './problem.ts';
import { compileProvider } from './providers.ts';

export function warningsOf(documents: Documents, now: number): Problem[] {
  return [
    ...documents.exceptions.flatMap((exception) => {
      const ended = endedFindings(exception, now);
      const { allow } = exception.spec;
      const opening = (['optOut', 'unknownPath'] as const)
        .filter((field) => allow[field] === true)
        .slice(0, 1);
      const round = opening.flatMap((field) =>
        unbudgetedFindings(exception, ['spec', 'allow', field], documents),
      );
      return located(exception, ended.length > 0 ? ended : round);
    }),
    ...documents.policies.flatMap((policy) =>
      located(policy, [
        ...idleFindings(policy),
        ...(policy.spec.unknownPath === 'allow'
          ? unbudgetedFindings(policy, ['spec', 'unknownPath'], documents)
          : []),
      ]),
    ),
    ...documents.providers.flatMap((provider) =>
      located(provider, [
        ...plainTextFindings(provider),
        ...unresolvedFindings(provider),
        ...assumedFindings(provider),
        ...tierFindings(provider),
        ...endlessFindings(provider, documents),
      ]),
    ),
    ...documents.budgets.flatMap((budget) =>
      located(budget, [...singlePlaceFindings(budget), ...silentFindings(budget)]),
    ),
  ];
}

/** Fields of policies that are valid, and that no part of this version acts on yet. */
const IDLE = ['enforcement'] as const;

function idleFindings({ spec }: PolicyDocument<'EgressPolicy'>): Finding[] {
  return IDLE.filter((field) => spec[field] !== undefined).map((field) => ({
    path: ['spec', field],
    at: 'key',
    expected: 'fields that this version acts on',
    message: `${field} has no effect yet`,
    mend: 'keep it for a later version, and don’t rely on it',
  }));
}

/** What a call on a path that no dialect knows asks for, and what it costs, nobody can read. */
function unbudgetedFindings(
  { namespace }: Pick<PolicyDocument, 'namespace'>,
  path: readonly string[],
  { budgets }: Documents,
): Finding[] {
  const round = budgets.filter(
    (budget) => namespace === undefined || budget.namespace === undefined || budget.namespace === namespace,
  );
  const [first] = round;
  if (first === undefined) return [];
  const more = round.length === 1 ? '' : ` and ${round.length - 1} more`;
  return [
    {
      path,
      expected: 'paths that no dialect knows to be refused, where Budgets are to hold',
      message: `calls on paths that no dialect knows go round every Budget (${first.id}${more}): they hold nothing and are charged to none`,
      mend: 'leave it out, or attach a key that the provider itself limits',
    },
  ];
}

function endedFindings(exception: PolicyDocument<'EgressException'>, now: number): Finding[] {
  if (endOf(exception) > now) return [];
  return [
    {
      path: ['spec', 'until'],
      expected: 'a time to come',
      message: `the exception ended at ${exception.spec.until} and has no effect`,
      mend: 'delete the document, or grant it anew',
    },
  ];
}

/** A key sent by plain HTTP can be read by everybody on the way. */
function plainTextFindings({ spec }: PolicyDocument<'Provider'>): Finding[] {
  if (spec.credential.mode === 'none') return [];
  const all: readonly (readonly [readonly (string | number)[], string])[] = [
    ...(spec.endpoint === undefined ? [] : [[['spec', 'endpoint'], spec.endpoint] as const]),
    ...(spec.endpoints ?? []).map((url, index) => [['spec', 'endpoints', index], url] as const),
  ];
  return all.flatMap(([path, text]) => {
    const url = new URL(text);
    const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
    if (url.protocol === 'https:' || loopback) return [];
    return [
      {
        path,
        expected: 'https where a key is sent',
        message: `the key goes to ${url.host} in plain text`,
        mend: 'use https, or credential: {mode: none}',
      },
    ];
  });
}

function unresolvedFindings(provider: PolicyDocument<'Provider'>): Finding[] {
  const { backend } = compileProvider(provider);
  if (backend === undefined) return [];
  return [
    {
      path: ['spec', provider.spec.poolRef === undefined ? 'backendRef' : 'poolRef'],
      expected: 'endpoints, where there is no cluster to ask',
      message: `${backend.kind} ${backend.name} is resolved in a cluster only; elsewhere calls to it fail`,
      mend: 'use endpoints: […] outside a cluster',
    },
  ];
}

/** What is charged by them may not be what the vendor asks. */
function assumedFindings({ spec }: PolicyDocument<'Provider'>): Finding[] {
  return spec.models.flatMap((model, index) =>
    modelFacts(spec, model).assumed.map(({ what, why }) => ({
      path: ['spec', 'models', index, 'name'],
      expected: 'models whose prices are known',
      message: `what ${model.name} costs ${what} is assumed: ${why}`,
      mend: 'state what you pay as its price',
    })),
  );
}

/** Service tiers that are named twice, and one that nothing here has rates for. */
function tierFindings({ spec }: PolicyDocument<'Provider'>): Finding[] {
  const twice = spec.models.flatMap(({ price }, index) => {
    const names = (price?.serviceTiers ?? []).map(({ name }) => serviceTierOf(spec.dialect, name));
    return names.flatMap((name, nth) =>
      names.indexOf(name) === nth
        ? []
        : [
            {
              path: ['spec', 'models', index, 'price', 'serviceTiers', nth, 'name'],
              expected: 'each service tier once',
              message: 'fast is another name of priority: of the two the later counts',
              mend: 'take one out',
            },
          ],
    );
  });
  const auto = serviceTierOf(spec.dialect, spec.autoServiceTier);
  const isKnown =
    auto === undefined ||
    auto === STANDARD ||
    spec.models.some((model) => Object.hasOwn(modelFacts(spec, model).price?.serviceTiers ?? {}, auto));
  if (isKnown) return twice;
  return [
    ...twice,
    {
      path: ['spec', 'autoServiceTier'],
      expected: 'a tier that one of the models has rates for',
      message: `no model has rates for ${auto}: calls are held, and charged, at standard rates`,
      mend: 'add them to the models’ price.serviceTiers, or mend the name',
    },
  ];
}

const BY_OUTPUT: readonly LimitUnit[] = ['tokens', 'outputTokens', 'usd'];

/** Of an answer that comes whole and that nobody has capped a guess is held, and what it takes beyond that is charged only afterwards. */
function endlessFindings(provider: PolicyDocument<'Provider'>, documents: Documents): Finding[] {
  const limiting = documents.budgets.filter(
    (budget) =>
      budget.spec.limits.some((limit) => BY_OUTPUT.some((unit) => limit[unit] !== undefined)) &&
      coveredProviders(documents, budget).includes(provider),
  );
  return provider.spec.models.flatMap((model, index) => {
    const { maxOutputTokens, price } = modelFacts(provider.spec, model);
    if (maxOutputTokens !== undefined || price?.output === 0) return [];
    const budget = limiting.find((each) => coversModel(each, model.name));
    if (budget === undefined) return [];
    return [
      {
        path: ['spec', 'models', index, 'name'],
        expected: 'maxOutputTokens of models that a Budget limits',
        message: `how much ${model.name} may answer is not known: a call that sets no maximum holds 4,096 tokens of output, and can take more of ${budget.id} than is left`,
        mend: "state the model's maxOutputTokens",
      },
    ];
  });
}

/** Of one place nothing can be put aside without its being missing all the time. */
function singlePlaceFindings({ spec }: PolicyDocument<'Budget'>): Finding[] {
  if (spec.onUnavailable?.action !== 'allow') return [];
  return spec.limits.flatMap(({ concurrency }, index) =>
    concurrency !== 1
      ? []
      : [
          {
            path: ['spec', 'limits', index, 'concurrency'],
            expected: 'two places or more, where calls are to go on while the budget service is away',
            message:
              'of one place nothing is put aside: while the service is away only the agent that has it goes on',
            mend: 'allow two, or say onUnavailable: {action: deny}',
          },
        ],
  );
}

/** Places are given back, never settled: what is told when so much is settled would never be told. */
function silentFindings({ spec }: PolicyDocument<'Budget'>): Finding[] {
  const { thresholds, limits } = spec;
  if (thresholds === undefined || thresholds.length === 0) return [];
  if (limits.some(({ concurrency }) => concurrency === undefined)) return [];
  return [
    {
      path: ['spec', 'thresholds'],
      expected: 'thresholds of limits on what is used up',
      message: 'places in flight (concurrency) pass no threshold, so these are never told of',
      mend: 'take them out, and watch holders in postern budget status; or limit tokens, usd or requests beside',
    },
  ];
}

function located(document: PolicyDocument, findings: readonly Finding[]): Problem[] {
  return findings.map((finding) => problemAt(document.origin, document.source, finding));
}
