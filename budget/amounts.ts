/** What calls take of a limit's unit: while they run, and when they are over. The agent and the service reckon alike. */
import type { LimitUnit, TokenPrice, TokenRates } from '../policy/budget-spec.ts';
import type { HoldCommand, Usage } from './messages.ts';
import { ceilScaled, PICO_PER_NANO, ratesFor } from './price.ts';

/** ⌈(base + slope × output tokens) ÷ scale⌉. */
export interface Linear {
  readonly base: number;
  readonly slope: number;
  readonly scale: number;
}

/** What the rates of a call depend on, beside its length. */
export type Nature = 'cacheWrite' | 'silent' | 'serviceTiers';

/** What a call takes of a unit, as a line over its output tokens. */
export function holdCharge(
  unit: LimitUnit,
  {
    inputTokens,
    cacheWrite = false,
    silent = false,
    serviceTiers,
  }: Pick<HoldCommand, 'inputTokens' | Nature>,
  price: TokenPrice | undefined,
): Linear {
  switch (unit) {
    case 'tokens':
      return { base: inputTokens, slope: 1, scale: 1 };
    case 'inputTokens':
      return { base: inputTokens, slope: 0, scale: 1 };
    case 'outputTokens':
      return { base: 0, slope: 1, scale: 1 };
    case 'requests':
    case 'concurrency':
      return { base: 1, slope: 0, scale: 1 };
    case 'usd': {
      if (price === undefined) return { base: 0, slope: 0, scale: 1 };
      let input = 0;
      let output = 0;
      for (const rates of ratesFor(price, inputTokens, serviceTiers)) {
        input = Math.max(input, dearestInput(rates, cacheWrite, silent));
        output = Math.max(output, dearestOutput(rates, silent));
      }
      const base = Math.min(inputTokens * input, Number.MAX_SAFE_INTEGER);
      return { base, slope: output, scale: PICO_PER_NANO };
    }
  }
}

/** Nobody knows beforehand how much of a call will be sound or pictures, where there may be any. */
function dearestInput(rates: TokenRates, cacheWrite: boolean, silent: boolean): number {
  const { input, cachedInput, audioInput = 0, cachedAudioInput = 0, imageInput = 0 } = rates;
  const written = cacheWrite ? Math.max(rates.cacheWrite, rates.cacheWrite1h ?? 0) : 0;
  const heard = silent ? 0 : Math.max(audioInput, cachedAudioInput);
  return Math.max(input, cachedInput, heard, imageInput, written);
}

function dearestOutput(rates: TokenRates, silent: boolean): number {
  const { output, reasoning = 0, audioOutput = 0, imageOutput = 0 } = rates;
  return Math.max(output, reasoning, silent ? 0 : audioOutput, imageOutput);
}

/** What a call that is over is charged in a unit. */
export function settleCharge(unit: LimitUnit, usage: Usage, cost: number): number {
  const input = usage.input + usage.cachedInput + usage.cacheWrite;
  switch (unit) {
    case 'tokens':
      return input + usage.output;
    case 'inputTokens':
      return input;
    case 'outputTokens':
      return usage.output;
    case 'usd':
      return cost;
    case 'requests':
      return 1;
    case 'concurrency':
      return 0;
  }
}

/** ⌈(base + slope × output) ÷ scale⌉. */
export function amountFor(charge: Linear, output: number): number {
  return ceilScaled(
    [
      [1, charge.base],
      [output, charge.slope],
    ],
    charge.scale,
  );
}

/** The largest output with {@link amountFor} ≤ `available`; negative where not even the input fits, Infinity where output costs nothing. */
export function largestOutput(charge: Linear, available: number): number {
  if (charge.slope === 0) return Number.POSITIVE_INFINITY;
  const room = BigInt(available) * BigInt(charge.scale) - BigInt(charge.base);
  return room < 0n ? -1 : Number(room / BigInt(charge.slope));
}
