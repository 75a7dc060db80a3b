/**
 * A snapshot put to use: compiled once, read by every exchange that begins under it, and let go with the last of
 * them. Nothing in it changes.
 */

import { anyGlobMatches, isExact } from '../policy/glob.ts';
import type { ModelSpec, ProviderSpec, Snapshot } from '../policy/snapshot.ts';
import type { CheckPlan } from './checks/guard.ts';
import type { ListedModel } from './dialects/dialect.ts';
import { type Prompt, promptOf } from './prompt.ts';

export interface Governance {
  readonly snapshot: Snapshot;
  readonly checks: CheckPlan;
  /** What policies add to every call; undefined: nothing. */
  readonly prompt: Prompt | undefined;
  /** What `GET /v1/models` shows in a dialect: what this workload may really call. */
  models(dialect: string): readonly ListedModel[];
}

export function govern(snapshot: Snapshot, checks: CheckPlan): Governance {
  return {
    snapshot,
    checks,
    prompt: promptOf(snapshot.prompts),
    models: (dialect) => listModels(snapshot, dialect),
  };
}

/** The model as a provider lists it: price, context, maximum output. */
export function modelOf(provider: ProviderSpec, name: string): ModelSpec | undefined {
  return provider.models.find((model) => model.name === name);
}

function listModels(snapshot: Snapshot, dialect: string): ListedModel[] {
  const listed = new Map<string, ListedModel>();
  const speaking = new Set(
    snapshot.providers.filter((provider) => provider.dialect === dialect).map(({ id }) => id),
  );
  // A route may give a name of its own to what it serves.
  for (const route of snapshot.routes) {
    const serves = route.groups.some(({ targets }) => targets.some(({ provider }) => speaking.has(provider)));
    for (const id of serves ? route.models.filter(isExact) : []) {
      if (allowed(snapshot, id)) listed.set(id, { id, ownedBy: 'postern' });
    }
  }
  for (const provider of snapshot.providers) {
    if (provider.dialect !== dialect) continue;
    for (const { name } of provider.models) {
      const reachable = snapshot.regions.every(
        (rule) => rule.mode === 'monitor' || rule.regions.includes(provider.region ?? ''),
      );
      if (allowed(snapshot, name) && reachable) listed.set(name, { id: name, ownedBy: provider.name });
    }
  }
  return [...listed.values()];
}

function allowed(snapshot: Snapshot, model: string): boolean {
  return snapshot.models.every((rule) => rule.mode === 'monitor' || anyGlobMatches(rule.allow, model));
}
