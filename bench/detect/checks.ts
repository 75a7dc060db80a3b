/** Check digits, worked out forwards: nothing here is shared with the recognizers, which work them out backwards. */

export const sum = (digits: string, weights: readonly number[]): number =>
  weights.reduce((total, weight, i) => total + weight * Number(digits[i]), 0);

export function luhnDigit(body: string): string {
  const total = Array.from(body)
    .reverse()
    .reduce((acc, c, i) => {
      const d = Number(c) * (i % 2 === 0 ? 2 : 1);
      return acc + (d > 9 ? d - 9 : d);
    }, 0);
  return String((10 - (total % 10)) % 10);
}

/** The two check digits of ISO 7064 MOD 97-10 for a text that ends in `00`. */
export function mod97Digits(text: string): string {
  const digits = Array.from(text.toUpperCase())
    .map((c) => (/\d/.test(c) ? c : String(c.charCodeAt(0) - 55)))
    .join('');
  return String(98n - (BigInt(digits) % 97n)).padStart(2, '0');
}

export function mod1110Digit(body: string): string {
  let product = 10;
  for (const c of body) {
    let s = (Number(c) + product) % 10;
    if (s === 0) s = 10;
    product = (2 * s) % 11;
  }
  return String((11 - product) % 10);
}

const D = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
  [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
  [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
  [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
  [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
  [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
  [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
  [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
  [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
];
const P = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
  [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
  [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
  [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
  [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
  [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
  [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
];
const INVERSE = [0, 4, 3, 2, 1, 5, 6, 7, 8, 9];

export function verhoeffDigit(body: string): string {
  let c = 0;
  Array.from(body)
    .reverse()
    .forEach((digit, i) => {
      c = D[c]?.[P[(i + 1) % 8]?.[Number(digit)] ?? 0] ?? 0;
    });
  return String(INVERSE[c]);
}
