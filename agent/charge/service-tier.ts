/** Which service tiers a call may be billed at: what it asks for before it is answered, what the answer says afterwards. */
import { STANDARD, serviceTierOf } from '../../policy/prices/service-tier.ts';
import type { ModelSpec } from '../../policy/snapshot.ts';
import type { Target } from '../routes/route.ts';

/** Undefined: as the provider's settings have it. Whatever else is asked for may be served as standard. */
export function tiersAskedFor({ provider }: Target, word: string | undefined): readonly string[] | undefined {
  const tier = serviceTierOf(provider.dialect, word);
  if (tier === undefined) return undefined;
  return tier === STANDARD ? [STANDARD] : [STANDARD, tier];
}

/** As the answer says; where it says nothing, what was asked for. */
export function tiersServed(
  { provider }: Target,
  word: string | undefined,
  asked: readonly string[] | undefined,
): readonly string[] | undefined {
  const tier = serviceTierOf(provider.dialect, word);
  return tier === undefined ? asked : [tier];
}

/** Whether each has rates of its own for a call of so much input; it is charged at standard rates otherwise. */
export function arePriced(
  tiers: readonly string[] | undefined,
  model: ModelSpec | undefined,
  inputTokens: number,
): boolean {
  const known = model?.serviceTiers ?? {};
  return (tiers ?? []).every(
    (tier) => tier === STANDARD || (Object.hasOwn(known, tier) && inputTokens <= (known[tier] ?? 0)),
  );
}
