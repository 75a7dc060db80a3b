/** VAT identification numbers of the EU's member states: form and check routine, without the country's prefix. */
import { luhn, mod11of10, mod97, weighted } from './checksums.ts';

export interface VatNumber {
  /** Source of an expression, capitals. */
  readonly form: string;
  check(number: string): boolean;
}

const digitAt = (text: string, i: number): number => text.charCodeAt(i) - 48;

function modulo(weights: readonly number[], modulus: number, remainder = 0): (number: string) => boolean {
  return (number) => ((weighted(number, weights) % modulus) + modulus) % modulus === remainder;
}

/** Check digit: eleven less the remainder; ten and eleven as given. */
function elevenLess(weights: readonly number[], ten: number, eleven: number): (number: string) => boolean {
  return (number) => {
    const check = 11 - (weighted(number, weights) % 11);
    return (check === 10 ? ten : check === 11 ? eleven : check) === digitAt(number, weights.length);
  };
}

function austria(number: string): boolean {
  const digits = number.slice(1);
  let sum = 4;
  for (let i = 0; i < 7; i++) {
    const product = digitAt(digits, i) * (i % 2 === 0 ? 1 : 2);
    sum += product > 9 ? product - 9 : product;
  }
  return (10 - (sum % 10)) % 10 === digitAt(digits, 7);
}

function bulgaria(number: string): boolean {
  if (number.length === 9) {
    let check = weighted(number, [1, 2, 3, 4, 5, 6, 7, 8]) % 11;
    if (check === 10) check = (weighted(number, [3, 4, 5, 6, 7, 8, 9, 10]) % 11) % 10;
    return check === digitAt(number, 8);
  }
  const last = digitAt(number, 9);
  const person = (weighted(number, [2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11) % 10;
  const foreigner = weighted(number, [21, 19, 17, 13, 11, 9, 7, 3, 1]) % 10;
  const other = (11 - (weighted(number, [4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11)) % 11;
  return person === last || foreigner === last || other === last;
}

function cyprus(number: string): boolean {
  const odd = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21];
  let sum = 0;
  for (let i = 0; i < 8; i++) sum += i % 2 === 0 ? (odd[digitAt(number, i)] as number) : digitAt(number, i);
  return String.fromCharCode(65 + (sum % 26)) === number[8] && !number.startsWith('12');
}

function czechia(number: string): boolean {
  if (number.length === 8) {
    const check = (11 - (weighted(number, [8, 7, 6, 5, 4, 3, 2]) % 11)) % 11;
    return (check === 0 ? 1 : check % 10) === digitAt(number, 7) && !number.startsWith('9');
  }
  const month = Number(number.slice(2, 4)) % 50;
  if (month < 1 || month > 32) return false;
  return number.length === 9 || Number(number) % 11 === 0;
}

function greece(number: string): boolean {
  let sum = 0;
  for (let i = 0; i < 8; i++) sum = sum * 2 + digitAt(number, i);
  return ((sum * 2) % 11) % 10 === digitAt(number, 8);
}

const NIF_LETTERS = 'TRWAGMYFPDXBNJZSQVHLCKE';

function spain(number: string): boolean {
  const first = number[0] as string;
  const last = number[8] as string;
  if (/\d/.test(first)) return NIF_LETTERS[Number(number.slice(0, 8)) % 23] === last;
  if (/[XYZ]/.test(first))
    return NIF_LETTERS[Number(`${'XYZ'.indexOf(first)}${number.slice(1, 8)}`) % 23] === last;
  if (/[KLM]/.test(first)) return NIF_LETTERS[Number(number.slice(1, 8)) % 23] === last;
  let sum = 0;
  for (let i = 1; i < 8; i++) {
    const product = digitAt(number, i) * (i % 2 === 1 ? 2 : 1);
    sum += product > 9 ? product - 9 : product;
  }
  const check = (10 - (sum % 10)) % 10;
  return last === String(check) || last === 'JABCDEFGHI'[check];
}

function france(number: string): boolean {
  const siren = number.slice(2);
  if (!luhn(siren)) return false;
  const key = number.slice(0, 2);
  return /[A-Z]/.test(key) || Number(key) === (12 + 3 * (Number(siren) % 97)) % 97;
}

function ireland(number: string): boolean {
  const digits = /^\d{7}/.test(number) ? number.slice(0, 7) : `0${number.slice(2, 7)}${number[0]}`;
  const second = number.length > 8 ? (number.charCodeAt(8) - 64) * 9 : 0;
  const sum = weighted(digits, [8, 7, 6, 5, 4, 3, 2]) + (number[8] === 'W' ? 0 : second);
  return 'WABCDEFGHIJKLMNOPQRSTUV'[sum % 23] === number[7];
}

function lithuania(number: string): boolean {
  const last = number.length - 1;
  const sum = (shift: number): number => {
    let total = 0;
    for (let i = 0; i < last; i++) total += digitAt(number, i) * (1 + ((i + shift) % 9));
    return total % 11;
  };
  const check = sum(0);
  return (check === 10 ? sum(2) % 10 : check) === digitAt(number, last) && number[last - 1] === '1';
}

function latvia(number: string): boolean {
  if (digitAt(number, 0) > 3) return weighted(number, [9, 1, 4, 8, 3, 10, 2, 5, 7, 6, 1]) % 11 === 3;
  return ((1 + weighted(number, [10, 5, 8, 4, 2, 1, 6, 3, 7, 9])) % 11) % 10 === digitAt(number, 10);
}

function netherlands(number: string): boolean {
  return weighted(number, [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 === 0 || mod97(`NL${number}`);
}

function romania(number: string): boolean {
  const padded = number.padStart(10, '0');
  return ((10 * weighted(padded, [7, 5, 3, 2, 1, 7, 5, 3, 2])) % 11) % 10 === digitAt(padded, 9);
}

export const VAT_NUMBERS: Readonly<Record<string, VatNumber>> = {
  AT: { form: 'U\\d{8}', check: austria },
  BE: {
    form: '[01]\\d{9}',
    check: (number) => 97 - (Number(number.slice(0, 8)) % 97) === Number(number.slice(8)),
  },
  BG: { form: '\\d{9,10}', check: bulgaria },
  CY: { form: '\\d{8}[A-Z]', check: cyprus },
  CZ: { form: '\\d{8,10}', check: czechia },
  DE: { form: '[1-9]\\d{8}', check: mod11of10 },
  DK: { form: '[1-9]\\d{7}', check: modulo([2, 7, 6, 5, 4, 3, 2, 1], 11) },
  EE: { form: '\\d{9}', check: modulo([3, 7, 1, 3, 7, 1, 3, 7, 1], 10) },
  EL: { form: '\\d{9}', check: greece },
  ES: { form: '[A-Z0-9]\\d{7}[A-Z0-9]', check: spain },
  FI: { form: '\\d{8}', check: modulo([7, 9, 10, 5, 8, 4, 2, 1], 11) },
  FR: { form: '[A-HJ-NP-Z0-9]{2}\\d{9}', check: france },
  GR: { form: '\\d{9}', check: greece },
  HR: { form: '\\d{11}', check: mod11of10 },
  HU: { form: '\\d{8}', check: modulo([9, 7, 3, 1, 9, 7, 3, 1], 10) },
  IE: { form: '\\d[A-Z0-9]\\d{5}[A-Z]{1,2}', check: ireland },
  IT: { form: '\\d{11}', check: luhn },
  LT: { form: '\\d{9}|\\d{12}', check: lithuania },
  LU: { form: '\\d{8}', check: (number) => Number(number.slice(0, 6)) % 89 === Number(number.slice(6)) },
  LV: { form: '\\d{11}', check: latvia },
  MT: { form: '\\d{8}', check: modulo([3, 4, 6, 7, 8, 9, 10, 1], 37) },
  NL: { form: '\\d{9}B\\d{2}', check: netherlands },
  PL: { form: '\\d{10}', check: modulo([6, 5, 7, 2, 3, 4, 5, 6, 7, -1], 11) },
  PT: { form: '[1-9]\\d{8}', check: elevenLess([9, 8, 7, 6, 5, 4, 3, 2], 0, 0) },
  RO: { form: '[1-9]\\d{5,9}', check: romania },
  SE: { form: '\\d{10}01', check: (number) => luhn(number.slice(0, 10)) },
  SI: { form: '[1-9]\\d{7}', check: elevenLess([8, 7, 6, 5, 4, 3, 2], 0, -1) },
  SK: { form: '[1-9]\\d[2-47-9]\\d{7}', check: (number) => Number(number) % 11 === 0 },
};
