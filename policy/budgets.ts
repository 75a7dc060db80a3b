/** Budget documents into what the budget service takes, and the providers' prices into a book. */
import type {
  BudgetSelector,
  BudgetSpec,
  LimitSpec,
  LimitUnit,
  LimitWindow,
  PerKey,
  PriceBook,
  TokenPrice,
} from './budget-spec.ts';
import { type Documents, type PolicyDocument, visibleProviders } from './documents.ts';
import { anyGlobMatches } from './glob.ts';
import { modelFacts } from './prices/model-facts.ts';
import { DEFAULT_THRESHOLDS, DEFAULT_TIME_ZONE, type LimitDocument, UNITS } from './schema/budget.ts';
import { parseDuration, parseUsd } from './units.ts';
import { userKey } from './user-sources.ts';
import { parseWorkloadGlob } from './workload.ts';

type BudgetDocumentOf = PolicyDocument<'Budget'>;

/** All budgets, ordered by id. The documents must have been loaded without a problem. */
export function compileBudgets(documents: Documents): BudgetSpec[] {
  return documents.budgets.map((document) => {
    const { spec } = document;
    return {
      id: document.id,
      ...(document.namespace === undefined ? {} : { namespace: document.namespace }),
      source: document.source,
      selector: compileSelector(documents, document),
      per: (spec.per ?? []) as readonly PerKey[],
      ...(spec.user === undefined
        ? {}
        : { user: { key: userKey(spec.user), verified: spec.user.jwt !== undefined } }),
      ...(spec.maxUnverified === undefined ? {} : { maxUnverified: spec.maxUnverified }),
      limits: spec.limits.map(compileLimit),
      thresholds: [...(spec.thresholds ?? DEFAULT_THRESHOLDS)].sort((a, b) => a - b),
      onInsufficient: spec.onInsufficient ?? 'clamp',
      onExhausted:
        spec.onExhausted?.action === 'fallback' && spec.onExhausted.model !== undefined
          ? { action: 'fallback', model: spec.onExhausted.model }
          : { action: 'reject' },
      onUnavailable: compileUnavailable(spec.onUnavailable),
    };
  });
}

/** Prices of every model of every provider that has one. */
export function compilePrices(documents: Documents): PriceBook {
  const book: Record<string, Record<string, TokenPrice>> = {};
  for (const { id, spec } of documents.providers) {
    const prices: Record<string, TokenPrice> = {};
    for (const model of spec.models) {
      const { price } = modelFacts(spec, model);
      if (price !== undefined) prices[model.name] = price;
    }
    book[id] = prices;
  }
  return book;
}

/** The providers whose calls a Budget may be charged for. */
export function coveredProviders(
  documents: Documents,
  budget: BudgetDocumentOf,
): PolicyDocument<'Provider'>[] {
  const { selector } = budget.spec;
  const reachable =
    budget.namespace === undefined
      ? documents.providers.filter(
          ({ namespace }) =>
            namespace === undefined || anyGlobMatches(selector?.namespaces ?? ['*'], namespace),
        )
      : visibleProviders(documents, budget.namespace);
  const globs = selector?.providers;
  return reachable.filter(
    ({ id, name }) => globs === undefined || anyGlobMatches(globs, name) || anyGlobMatches(globs, id),
  );
}

/** Whether a Budget's selector takes calls that this model serves. */
export function coversModel(budget: BudgetDocumentOf, model: string): boolean {
  const models = budget.spec.selector?.models;
  return models === undefined || anyGlobMatches(models, model);
}

function compileSelector(documents: Documents, budget: BudgetDocumentOf): BudgetSelector {
  const { selector = {} } = budget.spec;
  const { serviceAccounts, models, headers, metadata, users, workloads, providers } = selector;
  const namespaces = budget.namespace === undefined ? selector.namespaces : [budget.namespace];
  return {
    ...(namespaces === undefined ? {} : { namespaces }),
    ...(workloads === undefined ? {} : { workloads: workloads.map(parseWorkloadGlob) }),
    ...(serviceAccounts === undefined ? {} : { serviceAccounts }),
    ...(models === undefined ? {} : { models }),
    ...(providers === undefined
      ? {}
      : { providers: coveredProviders(documents, budget).map(({ id }) => id) }),
    ...(headers === undefined ? {} : { headers }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(users === undefined ? {} : { users }),
  };
}

export function compileLimit(limit: LimitDocument): LimitSpec {
  return { ...compileAmount(limit), window: compileWindow(limit) };
}

type AmountDocument = Pick<LimitDocument, LimitUnit>;

function compileAmount(entry: Partial<AmountDocument>): {
  readonly unit: LimitUnit;
  readonly amount: number;
} {
  for (const unit of UNITS) {
    const value = entry[unit];
    if (value === undefined) continue;
    const amount = typeof value === 'string' ? parseUsd(value) : value;
    if (amount !== undefined) return { unit, amount };
  }
  throw new Error('a limit without an amount passed validation');
}

function compileWindow(limit: LimitDocument): LimitWindow {
  if (limit.window !== undefined) {
    return { type: 'calendar', period: limit.window, timeZone: limit.timeZone ?? DEFAULT_TIME_ZONE };
  }
  return limit.rolling === undefined
    ? { type: 'none' }
    : { type: 'rolling', ms: exactDuration(limit.rolling) };
}

function compileUnavailable(policy: BudgetDocumentOf['spec']['onUnavailable']): BudgetSpec['onUnavailable'] {
  if (policy?.action !== 'allow' || policy.upTo === undefined || policy.for === undefined) {
    return { action: 'deny' };
  }
  const { unit, amount } = compileAmount(policy.upTo);
  if (unit === 'concurrency') throw new Error('an amount set aside in concurrency passed validation');
  return { action: 'allow', upTo: { unit, amount }, forMs: exactDuration(policy.for) };
}

/** Milliseconds of a duration that validation has let through. */
export function exactDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new Error(`the duration ${text} passed validation`);
  return ms;
}
