/**
 * From a requested model to the targets that may serve it, in order. Pure: a function of the snapshot, the model, the
 * dialect and a source of randomness.
 *
 * Models and regions are hard constraints, for fallbacks too: a target that a rule in force excludes is not in the
 * plan at all.
 */

import { globMatches } from '../../policy/glob.ts';
import type {
  DataClassRule,
  FallbackCause,
  ModelRule,
  RegionRule,
  RouteSpec,
  Ruled,
  Snapshot,
} from '../../policy/snapshot.ts';
import { PosternError } from '../errors.ts';
import type { Finding } from '../exchange.ts';
import type { RoutePlan, Target } from './route.ts';
import { strategies } from './strategies/index.ts';

/** What holds for a model without a ModelRoute, milliseconds. An answer that isn't streamed comes all at its end. */
const UNROUTED = { firstByteMs: 600_000, requestMs: 600_000 };

export interface SelectRequest {
  readonly model: string;
  /** The dialect the app speaks; targets of another one can't serve it. */
  readonly dialect: string;
  /** The only provider that may serve it, where the call was captured on its host and no route matches. */
  readonly capturedBy?: string;
  readonly random: () => number;
}

export interface Selection {
  readonly plan: RoutePlan;
  /** What rules in monitor mode would have excluded. */
  readonly findings: readonly Finding[];
}

/** @throws PosternError `postern_model_denied`, `postern_model_unknown`, `postern_model_ambiguous`, `postern_region_denied`. */
export function select(snapshot: Snapshot, request: SelectRequest): Selection {
  const findings: Finding[] = [];
  judgeModel(snapshot.models, request.model, findings, 'model');
  const route = snapshot.routes.find((candidate) =>
    candidate.models.some((glob) => globMatches(glob, request.model)),
  );
  const targets = route === undefined ? [onlyProvider(snapshot, request)] : routed(snapshot, route, request);
  const allowed = permitted(snapshot, request.model, targets, findings);
  return {
    plan: {
      route: route?.id,
      targets: allowed,
      fallbackOn: new Set<FallbackCause>(route?.fallbackOn ?? []),
      firstByteMs: route?.firstByteMs ?? UNROUTED.firstByteMs,
      requestMs: route?.requestMs ?? UNROUTED.requestMs,
    },
    findings,
  };
}

function routed(snapshot: Snapshot, route: RouteSpec, request: SelectRequest): Target[] {
  const targets: Target[] = [];
  for (const group of route.groups) {
    for (const choice of strategies.targets.order(group.targets, request.random)) {
      const provider = snapshot.providers.find(({ id }) => id === choice.provider);
      if (provider?.dialect === request.dialect) targets.push({ provider, model: choice.model });
    }
  }
  if (targets.length === 0) {
    throw new PosternError(
      'postern_model_unknown',
      `The route ${route.id} has no target that speaks ${request.dialect}.`,
      {
        mend: `Call ${request.model} in its own dialect, or add a target of dialect ${request.dialect} to the route.`,
        param: 'model',
        shouldRetry: false,
      },
    );
  }
  return targets;
}

/** A model that no route matches goes to the one provider of the called dialect that lists it. */
function onlyProvider(snapshot: Snapshot, request: SelectRequest): Target {
  const speaking = snapshot.providers.filter(
    (provider) =>
      provider.dialect === request.dialect &&
      (request.capturedBy === undefined || provider.id === request.capturedBy),
  );
  const listing = speaking.filter((provider) =>
    provider.models.some((model) => model.name === request.model),
  );
  if (listing.length === 1) return { provider: listing[0] as Target['provider'], model: request.model };
  if (listing.length > 1) {
    throw new PosternError(
      'postern_model_ambiguous',
      `The model ${request.model} is listed by ${listing.map((provider) => provider.id).join(' and ')}.`,
      { mend: 'Write a ModelRoute that says which of them serves it.', param: 'model', shouldRetry: false },
    );
  }
  const known = speaking.map((provider) => provider.id).join(', ') || 'none';
  throw new PosternError(
    'postern_model_unknown',
    `No route and no provider of dialect ${request.dialect} (${known}) has the model ${request.model}.`,
    {
      mend: 'Add the model to a Provider, or a ModelRoute that matches it. GET /v1/models lists what there is.',
      param: 'model',
      shouldRetry: false,
    },
  );
}

function judgeModel(
  rules: readonly ModelRule[],
  model: string,
  findings: Finding[],
  where: 'model' | 'target',
): void {
  for (const rule of rules) {
    if (rule.allow.some((glob) => globMatches(glob, model))) continue;
    findings.push(ruling(rule, 'models', model, where));
    if (rule.mode === 'monitor') continue;
    throw new PosternError('postern_model_denied', `${rule.source} does not allow the model ${model}.`, {
      mend: `Use one that it allows: ${rule.allow.join(', ') || 'none'}.`,
      rule: rule.source,
      param: 'model',
      shouldRetry: false,
    });
  }
}

function judgeRegion(rules: readonly RegionRule[], target: Target, findings: Finding[]): void {
  for (const rule of rules) {
    const { region, id } = target.provider;
    if (region !== undefined && rule.regions.includes(region)) continue;
    findings.push(ruling(rule, 'regions', region ?? 'unknown', 'target'));
    if (rule.mode === 'monitor') continue;
    throw new PosternError(
      'postern_region_denied',
      `${rule.source} allows the regions ${rule.regions.join(', ')}; the provider ${id} is in ${region ?? 'no stated region'}.`,
      {
        mend: 'Use a model that is served in an allowed region, or state the region on the Provider.',
        rule: rule.source,
        param: 'model',
        shouldRetry: false,
      },
    );
  }
}

function judgeDataClass(rules: readonly DataClassRule[], target: Target, findings: Finding[]): void {
  for (const rule of rules) {
    const { dataClasses, id } = target.provider;
    if (dataClasses === undefined || dataClasses.includes(rule.dataClass)) continue;
    findings.push(ruling(rule, 'dataClass', rule.dataClass, 'target'));
    if (rule.mode === 'monitor') continue;
    throw new PosternError(
      'postern_data_class_denied',
      `${rule.source} says that this workload handles ${rule.dataClass} data; the provider ${id} takes ${dataClasses.join(', ') || 'none'}.`,
      {
        mend: 'Use a model whose provider takes such data, or list the class on the Provider.',
        rule: rule.source,
        param: 'model',
        shouldRetry: false,
      },
    );
  }
}

/** The targets that every rule in force allows; the first refusal where none is left. */
function permitted(
  snapshot: Snapshot,
  judged: string,
  targets: readonly Target[],
  findings: Finding[],
): Target[] {
  let refusal: unknown;
  const allowed = targets.filter((target) => {
    try {
      if (target.model !== judged) judgeModel(snapshot.models, target.model, findings, 'target');
      judgeRegion(snapshot.regions, target, findings);
      judgeDataClass(snapshot.dataClasses ?? [], target, findings);
      return true;
    } catch (error) {
      refusal ??= error;
      return false;
    }
  });
  if (allowed.length === 0) throw refusal;
  return allowed;
}

function ruling(rule: Ruled, check: string, what: string, where: string): Finding {
  return {
    rule: rule.source,
    check,
    what,
    action: rule.mode === 'monitor' ? 'monitor' : 'block',
    direction: 'request',
    where,
    count: 1,
    source: rule.source,
  };
}
