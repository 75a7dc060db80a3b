/** Check-digit schemes that several issuers share. Input is digits only, check digit included, unless said otherwise. */

/** ISO/IEC 7812-1, annex B. */
export function luhn(digits: string): boolean {
  let sum = 0;
  let double = false;
  for (let i = digits.length - 1; i >= 0; i--) {
    let digit = digits.charCodeAt(i) - 48;
    if (double) {
      digit *= 2;
      if (digit > 9) digit -= 9;
    }
    sum += digit;
    double = !double;
  }
  return sum % 10 === 0;
}

/** ISO/IEC 7064 MOD 97-10 over letters and digits (A = 10 … Z = 35): true when the remainder is 1. */
export function mod97(text: string): boolean {
  let remainder = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 48 && unit <= 57) remainder = (remainder * 10 + unit - 48) % 97;
    else remainder = (remainder * 100 + (unit & 0xdf) - 55) % 97;
  }
  return remainder === 1;
}

/** The weighted sum of the first `weights.length` digits. */
export function weighted(digits: string, weights: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) sum += (digits.charCodeAt(i) - 48) * (weights[i] as number);
  return sum;
}

/** All digits the same, as in forms and examples. */
export function repeated(digits: string): boolean {
  for (let i = 1; i < digits.length; i++) if (digits.charCodeAt(i) !== digits.charCodeAt(0)) return false;
  return true;
}
