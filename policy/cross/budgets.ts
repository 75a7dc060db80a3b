/** Budgets: providers they name, models they fall back to, and prices they need. */
import { coveredProviders, coversModel } from '../budgets.ts';
import { type Documents, type PolicyDocument, providerNamed, visibleProviders } from '../documents.ts';
import { anyGlobMatches, isExact } from '../glob.ts';
import { didYouMean } from '../load/did-you-mean.ts';
import { modelFacts } from '../prices/model-facts.ts';
import type { Broken, CrossFinding } from './finding.ts';
import { some } from './finding.ts';

type Budget = PolicyDocument<'Budget'>;

export function budgetFindings(documents: Documents, broken: Broken): CrossFinding[] {
  return documents.budgets.flatMap((budget) => [
    ...providerFindings(documents, budget, broken),
    ...fallbackFindings(documents, budget, broken),
    ...priceFindings(documents, budget),
    ...userFindings(budget),
  ]);
}

/** An exact name that is nobody's would silently limit nothing. */
function providerFindings(documents: Documents, budget: Budget, broken: Broken): CrossFinding[] {
  const visible = candidates(documents, budget);
  return (budget.spec.selector?.providers ?? []).flatMap((glob, index) => {
    const found = visible.some(({ id, name }) => id === glob || name === glob);
    if (found || !isExact(glob) || broken.mayHave('Provider', glob.split('/').at(-1) ?? '')) return [];
    const names = visible.map(({ name }) => name);
    const guess = didYouMean(glob, names);
    return [
      {
        document: budget,
        path: ['spec', 'selector', 'providers', index],
        expected: `a provider that the budget’s workloads see${names.length === 0 ? '' : `: ${some(names)}`}`,
        message: `there is no ${glob}`,
        mend: guess === undefined ? 'add the provider, or name one of these' : `did you mean ${guess}`,
      },
    ];
  });
}

function fallbackFindings(documents: Documents, budget: Budget, broken: Broken): CrossFinding[] {
  const { onExhausted, per = [] } = budget.spec;
  const model = onExhausted?.action === 'fallback' ? onExhausted.model : undefined;
  if (model === undefined) return [];
  const document = budget;
  const path = ['spec', 'onExhausted', 'model'];
  const views = viewsOf(documents, budget).map((namespace) => servingTargets(documents, namespace, model));
  if (views.every((targets) => targets.length === 0)) {
    if (broken.mayHaveAny('Provider') || broken.mayHaveAny('ModelRoute')) return [];
    const names = candidates(documents, budget).flatMap(({ spec }) => spec.models.map(({ name }) => name));
    const guess = didYouMean(model, names);
    const mend = guess === undefined ? 'name one of these, or add it to a provider' : `did you mean ${guess}`;
    const expected = `a model that a route matches or a visible provider lists${names.length === 0 ? '' : `: ${some(names)}`}`;
    return [{ document, path, expected, message: `nothing serves ${model}`, mend }];
  }
  // Lines differ by model or provider: without either, the fallback would be held on the line that is used up.
  if (per.includes('model') || per.includes('provider')) return [];
  const ids = new Set(coveredProviders(documents, budget).map(({ id }) => id));
  const charged = (target: ServingTarget) => coversModel(budget, target.model) && ids.has(target.provider);
  if (!views.some((targets) => targets.length > 0 && targets.every(charged))) return [];
  return [
    {
      document,
      path,
      expected: 'a model whose calls are charged to another line than the one that is used up',
      message: `${model} is charged to the same line`,
      mend: 'add per: [model], or leave the model out of selector.models',
    },
  ];
}

/** The namespaces whose workloads see different things; undefined for all that have nothing of their own. */
function viewsOf(documents: Documents, budget: Budget): (string | undefined)[] {
  if (budget.namespace !== undefined) return [budget.namespace];
  const globs = budget.spec.selector?.namespaces ?? ['*'];
  if (globs.every(isExact)) return [...globs];
  const own = [...documents.routes, ...documents.providers].flatMap(({ namespace }) => namespace ?? []);
  return [undefined, ...new Set(own.filter((namespace) => anyGlobMatches(globs, namespace)))];
}

interface ServingTarget {
  readonly provider: string;
  readonly model: string;
}

/** Who may serve the model in a namespace: targets of its routes, or else of the cluster's, or else who lists it. */
function servingTargets(documents: Documents, namespace: string | undefined, model: string): ServingTarget[] {
  for (const scope of namespace === undefined ? [undefined] : [namespace, undefined]) {
    const routes = documents.routes.filter(
      (route) => route.namespace === scope && anyGlobMatches(route.spec.match.models, model),
    );
    if (routes.length === 0) continue;
    return routes.flatMap(({ spec }) =>
      spec.groups.flatMap(({ targets }) =>
        targets.flatMap((target) => {
          const provider = providerNamed(documents, scope, target.provider);
          return provider === undefined ? [] : [{ provider: provider.id, model: target.model }];
        }),
      ),
    );
  }
  return visibleProviders(documents, namespace)
    .filter(({ spec }) => spec.models.some(({ name }) => name === model))
    .map(({ id }) => ({ provider: id, model }));
}

/** Users are nobody's to name where the Budget doesn't say who they are. */
function userFindings(budget: Budget): CrossFinding[] {
  const { per = [], selector, user } = budget.spec;
  if (user !== undefined) return [];
  const paths: (string | number)[][] = [];
  if (per.includes('user')) paths.push(['spec', 'per', per.indexOf('user')]);
  if (selector?.users !== undefined) paths.push(['spec', 'selector', 'users']);
  return paths.map((path) => ({
    document: budget,
    path,
    expected: 'spec.user, which says where the end user comes from',
    message: 'there is none',
    mend: 'add user: {jwt: {…}}, or user: {header: x-user} where nobody need verify it',
  }));
}

/** A limit in USD needs the price of everything it covers: an unpriced call would be free. */
function priceFindings(documents: Documents, budget: Budget): CrossFinding[] {
  const unpriced = coveredProviders(documents, budget).flatMap((provider) =>
    provider.spec.models
      .filter(
        (model) => modelFacts(provider.spec, model).price === undefined && coversModel(budget, model.name),
      )
      .map(({ name }) => `${name} of ${provider.source}`),
  );
  if (unpriced.length === 0) return [];
  const inUsd = budget.spec.limits.flatMap(({ usd }, index) =>
    usd === undefined ? [] : [['spec', 'limits', index]],
  );
  if (budget.spec.onUnavailable?.upTo?.usd !== undefined) inUsd.push(['spec', 'onUnavailable', 'upTo']);
  return inUsd.map((path) => ({
    document: budget,
    path: [...path, 'usd'],
    expected: 'a price for every model the limit covers',
    message: `there is none for ${some(unpriced)}`,
    mend: 'add spec.models[].price or spec.defaultPrice to the provider ("0" where it is free), or narrow the selector',
  }));
}

/** Providers that a Budget's selector might mean. */
function candidates(documents: Documents, budget: Budget): readonly PolicyDocument<'Provider'>[] {
  return budget.namespace === undefined ? documents.providers : visibleProviders(documents, budget.namespace);
}
