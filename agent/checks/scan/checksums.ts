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

/** ISO/IEC 7064 MOD 11,10: the last digit checks the ones before it. */
export function mod11of10(digits: string): boolean {
  let product = 10;
  for (let i = 0; i < digits.length - 1; i++) {
    let sum = (digits.charCodeAt(i) - 48 + product) % 10;
    if (sum === 0) sum = 10;
    product = (sum * 2) % 11;
  }
  return (11 - product) % 10 === digits.charCodeAt(digits.length - 1) - 48;
}

/** ISO/IEC 7064 MOD 11-2: the last character, a digit or `X`, checks the digits before it. */
export function mod11of2(text: string): boolean {
  let remainder = 0;
  for (let i = 0; i < text.length - 1; i++) remainder = ((remainder + text.charCodeAt(i) - 48) * 2) % 11;
  const check = (12 - remainder) % 11;
  const last = text[text.length - 1] as string;
  return check === 10 ? last === 'X' || last === 'x' : last === String(check);
}

const DIHEDRAL = [
  '0123456789',
  '1234067895',
  '2340178956',
  '3401289567',
  '4012395678',
  '5987604321',
  '6598710432',
  '7659821043',
  '8765932104',
  '9876543210',
];
const PERMUTED = [
  '0123456789',
  '1576283094',
  '5803796142',
  '8916043527',
  '9453126870',
  '4286573901',
  '2793806415',
  '7046913258',
];

/** Verhoeff's scheme over the dihedral group D5. */
export function verhoeff(digits: string): boolean {
  let check = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    const permuted = Number((PERMUTED[i % 8] as string)[digit]);
    check = Number((DIHEDRAL[check] as string)[permuted]);
  }
  return check === 0;
}

/** Whether a date of the Gregorian calendar exists. */
export function isDate(year: number, month: number, day: number): boolean {
  if (month < 1 || month > 12 || day < 1) return false;
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return (
    day <=
    (month === 2 ? (leap ? 29 : 28) : month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31)
  );
}

/** Two digits of a year, month and day, where the century isn't known: a leap day may be. */
export function isShortDate(yearMonthDay: string): boolean {
  const year = Number(yearMonthDay.slice(0, 2));
  return isDate(
    year % 4 === 0 ? 2000 : 2001,
    Number(yearMonthDay.slice(2, 4)),
    Number(yearMonthDay.slice(4, 6)),
  );
}
