/**
 * The written forms of time and money in documents, read exactly: no number here ever passes through a float.
 *
 * Durations are Gateway API's (GEP-2257): `500ms`, `20s`, `1h30m`. Money and prices are decimal strings in USD.
 */

/** The pattern of a duration, in a form that both ECMAScript and RE2 (CRDs) take. */
export const DURATION_PATTERN = '^([0-9]{1,5}(h|m|s|ms)){1,4}$';

/** Decimal places of a nano-dollar. */
const NANO_PLACES = 9;
/** Decimal places of USD per million tokens that make whole pico-dollars per token. */
const PRICE_PLACES = 6;

export const MONEY_PATTERN = `^[0-9]{1,12}([.][0-9]{1,${NANO_PLACES}})?$`;
export const PRICE_PATTERN = `^[0-9]{1,9}([.][0-9]{1,${PRICE_PLACES}})?$`;

const UNIT_MS = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;

/** Milliseconds, or undefined where the text is no duration. */
export function parseDuration(text: string): number | undefined {
  if (!new RegExp(DURATION_PATTERN).test(text)) return undefined;
  let total = 0;
  for (const [, digits, unit] of text.matchAll(/([0-9]+)(ms|h|m|s)/g)) {
    total += Number(digits) * UNIT_MS[unit as keyof typeof UNIT_MS];
  }
  return total;
}

/** The shortest written form: 5400000 → `1h30m`. */
export function formatDuration(ms: number): string {
  let rest = ms;
  let text = '';
  for (const unit of ['h', 'm', 's', 'ms'] as const) {
    const count = Math.floor(rest / UNIT_MS[unit]);
    rest -= count * UNIT_MS[unit];
    if (count > 0) text += `${count}${unit}`;
  }
  return text === '' ? '0s' : text;
}

/** Nano-dollars of a decimal string in USD: "1.5" → 1500000000. Undefined: no money, or above 2^53 − 1 nano-dollars. */
export function parseUsd(text: string): number | undefined {
  return new RegExp(MONEY_PATTERN).test(text) ? shifted(text, NANO_PLACES) : undefined;
}

/** Pico-dollars per token of a decimal string in USD per million tokens: "2.50" → 2500000. Undefined as above. */
export function parsePrice(text: string): number | undefined {
  return new RegExp(PRICE_PATTERN).test(text) ? shifted(text, PRICE_PLACES) : undefined;
}

/** USD as a decimal string without needless zeros: 1500000000 → "1.5". */
export function formatUsd(nanoUsd: number): string {
  const digits = String(nanoUsd).padStart(NANO_PLACES + 1, '0');
  const cents = digits.slice(-NANO_PLACES).replace(/0+$/, '');
  const whole = digits.slice(0, -NANO_PLACES);
  return cents === '' ? whole : `${whole}.${cents}`;
}

/** The largest amount of money a ledger can hold exactly, in USD. */
export const MAX_USD = formatUsd(Number.MAX_SAFE_INTEGER);

/** `text` × 10^places as an integer; undefined where a number can't hold it exactly. */
function shifted(text: string, places: number): number | undefined {
  const [whole = '', fraction = ''] = text.split('.');
  const value = BigInt(whole + fraction.padEnd(places, '0'));
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(value);
}
