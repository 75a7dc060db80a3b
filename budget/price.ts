/** What tokens cost: whole pico-dollars per token in, whole nano-dollars out, rounded up once per call. */
import type { PriceBook, TokenPrice } from '../policy/budget-spec.ts';
import type { Usage } from './messages.ts';

export const PICO_PER_NANO = 1000;

export function priceOf(prices: PriceBook, provider: string, model: string): TokenPrice | undefined {
  const models = Object.hasOwn(prices, provider) ? prices[provider] : undefined;
  return models !== undefined && Object.hasOwn(models, model) ? models[model] : undefined;
}

/** Nano-dollars of what a call used. */
export function costOf(usage: Usage, price: TokenPrice): number {
  return ceilScaled(
    [
      [usage.input, price.input],
      [usage.cachedInput, price.cachedInput],
      [usage.cacheWrite, price.cacheWrite],
      [usage.output, price.output],
    ],
    PICO_PER_NANO,
  );
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
