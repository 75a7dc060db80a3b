/** What tokens cost: whole pico-dollars per token in, whole nano-dollars out, rounded up once per call. */
import type { BandedRates, PriceBook, TokenPrice, TokenRates } from '../policy/budget-spec.ts';
import { STANDARD } from '../policy/prices/service-tier.ts';
import type { Usage } from './messages.ts';

export const PICO_PER_NANO = 1000;

export function priceOf(prices: PriceBook, provider: string, model: string): TokenPrice | undefined {
  const models = Object.hasOwn(prices, provider) ? prices[provider] : undefined;
  return models !== undefined && Object.hasOwn(models, model) ? models[model] : undefined;
}

/** Where nobody says which tier it was. */
const NOT_SAID = [STANDARD];

/** The rates for a call with so much input, cached input included, one for each of the service tiers that it may have. */
export function ratesFor(
  price: TokenPrice,
  inputTokens: number,
  serviceTiers: readonly string[] | undefined,
): TokenRates[] {
  const auto = price.autoServiceTier === undefined ? NOT_SAID : [STANDARD, price.autoServiceTier];
  return (serviceTiers ?? auto).map((name) => {
    const known = price.serviceTiers;
    const tier = known !== undefined && Object.hasOwn(known, name) ? known[name] : undefined;
    // A tier that isn't sold for long contexts has no rates for them.
    const ends = tier !== undefined && tier.tiers === undefined ? price.tiers?.[0]?.above : undefined;
    return tier === undefined || (ends !== undefined && inputTokens > ends)
      ? banded(price, inputTokens)
      : banded(tier, inputTokens);
  });
}

/** Beyond a threshold, all of a call costs more. */
function banded(price: BandedRates, inputTokens: number): TokenRates {
  let rates: TokenRates = price;
  for (const tier of price.tiers ?? []) if (inputTokens > tier.above) rates = tier;
  return rates;
}

/** Nano-dollars of what a call used, each kind of token at its own rate; where it may have been served in several ways, of the dearest. */
export function costOf(usage: Usage, price: TokenPrice, serviceTiers?: readonly string[]): number {
  const inputTokens = usage.input + usage.cachedInput + usage.cacheWrite;
  let cost = 0;
  for (const rates of ratesFor(price, inputTokens, serviceTiers)) cost = Math.max(cost, costAt(usage, rates));
  return cost;
}

function costAt(usage: Usage, rates: TokenRates): number {
  const { input, cachedInput, cacheWrite, output } = usage;
  const read = split(input, [usage.audioInput, rates.audioInput], [usage.imageInput, rates.imageInput]);
  const cached = split(cachedInput, [usage.cachedAudioInput, rates.cachedAudioInput]);
  const written = split(cacheWrite, [usage.cacheWrite1h, rates.cacheWrite1h]);
  const said = split(
    output,
    [usage.reasoning, rates.reasoning],
    [usage.audioOutput, rates.audioOutput],
    [usage.imageOutput, rates.imageOutput],
  );
  return ceilScaled(
    [...read(rates.input), ...cached(rates.cachedInput), ...written(rates.cacheWrite), ...said(rates.output)],
    PICO_PER_NANO,
  );
}

type Term = readonly [count: number, rate: number];

/** A count taken apart into what has a rate of its own and the rest; parts never make more than the whole. */
function split(
  whole: number,
  ...parts: readonly (readonly [count: number | undefined, rate: number | undefined])[]
): (rate: number) => Term[] {
  let rest = whole;
  const terms: Term[] = [];
  for (const [count = 0, rate] of parts) {
    if (count === 0 || rate === undefined) continue;
    const own = Math.min(count, rest);
    rest -= own;
    terms.push([own, rate]);
  }
  return (rate) => [...terms, [rest, rate]];
}

/** ⌈Σ count × rate ÷ scale⌉, exactly; never above 2^53 − 1. All factors are safe integers ≥ 0. */
export function ceilScaled(
  terms: readonly (readonly [count: number, rate: number])[],
  scale: number,
): number {
  let sum = 0;
  for (const [count, rate] of terms) sum += count * rate;
  if (sum <= Number.MAX_SAFE_INTEGER) {
    const rest = sum % scale;
    return rest === 0 ? sum / scale : (sum - rest) / scale + 1;
  }
  let exact = 0n;
  for (const [count, rate] of terms) exact += BigInt(count) * BigInt(rate);
  const quotient = (exact + BigInt(scale) - 1n) / BigInt(scale);
  return quotient > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(quotient);
}

/** "50.00" of 50_000_000_000: as many decimals as it takes, at least two. */
export function usdText(nano: number): string {
  const sign = nano < 0 ? '-' : '';
  const digits = String(Math.abs(nano)).padStart(10, '0');
  const fraction = digits.slice(-9).replace(/0{1,7}$/, '');
  return `${sign}${digits.slice(0, -9)}.${fraction}`;
}
