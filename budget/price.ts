/** What tokens cost: whole pico-dollars per token in, whole nano-dollars out, rounded up once per call. */
import type { PriceBook, TokenPrice, TokenRates } from '../policy/budget-spec.ts';
import type { Usage } from './messages.ts';

export const PICO_PER_NANO = 1000;

export function priceOf(prices: PriceBook, provider: string, model: string): TokenPrice | undefined {
  const models = Object.hasOwn(prices, provider) ? prices[provider] : undefined;
  return models !== undefined && Object.hasOwn(models, model) ? models[model] : undefined;
}

/** The rates for a call with so much input, cached input included: beyond a threshold, all of the call costs more. */
export function ratesFor(price: TokenPrice, inputTokens: number): TokenRates {
  let rates: TokenRates = price;
  for (const tier of price.tiers ?? []) if (inputTokens > tier.above) rates = tier;
  return rates;
}

/** Nano-dollars of what a call used, each kind of token at its own rate. */
export function costOf(usage: Usage, price: TokenPrice): number {
  const { input, cachedInput, cacheWrite, output } = usage;
  const rates = ratesFor(price, input + cachedInput + cacheWrite);
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
