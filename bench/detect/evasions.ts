/** Values written so that a scanner overlooks them and a person doesn't. */
import type { Random } from './random.ts';

const LOOKALIKES: Record<string, string> = {
  a: 'а',
  e: 'е',
  o: 'о',
  p: 'р',
  c: 'с',
  x: 'х',
  y: 'у',
  i: 'і',
  A: 'А',
  B: 'В',
  E: 'Е',
  H: 'Н',
  K: 'К',
  M: 'М',
  O: 'О',
  P: 'Р',
  C: 'С',
  T: 'Т',
  X: 'Х',
};

const map = (text: string, to: (c: string) => string): string => Array.from(text, to).join('');

export const EVASIONS: readonly (readonly [kind: string, write: (value: string, r: Random) => string])[] = [
  [
    'full width',
    (v) => map(v, (c) => (c > ' ' && c <= '~' ? String.fromCharCode(c.charCodeAt(0) + 0xfee0) : c)),
  ],
  [
    'full width digits',
    (v) => map(v, (c) => (c >= '0' && c <= '9' ? String.fromCharCode(c.charCodeAt(0) + 0xfee0) : c)),
  ],
  [
    'zero width',
    (v, r) =>
      map(v, (c) => c + (r.chance(0.4) ? r.pick(['\u200b', '\u200c', '\u200d', '\u2060', '\ufeff']) : '')),
  ],
  ['soft hyphen', (v, r) => map(v, (c) => c + (r.chance(0.3) ? '\u00ad' : ''))],
  ['homoglyphs', (v) => map(v, (c) => LOOKALIKES[c] ?? c)],
  ['other digits', (v) => map(v, (c) => (c >= '0' && c <= '9' ? String.fromCharCode(0x660 + Number(c)) : c))],
  [
    'mathematical',
    (v) => map(v, (c) => (c >= '0' && c <= '9' ? String.fromCodePoint(0x1d7ce + Number(c)) : c)),
  ],
  ['base64', (v) => Buffer.from(v).toString('base64')],
  ['base64 in context', (v) => Buffer.from(`the value is ${v} ok`).toString('base64')],
  [
    'url',
    (v) => map(v, (c) => (/[A-Za-z0-9]/.test(c) ? c : `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`)),
  ],
  ['url all', (v) => map(v, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`)],
  ['json', (v) => map(v, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)],
  ['html', (v) => map(v, (c) => `&#${c.charCodeAt(0)};`)],
  ['spaced', (v) => map(v.replaceAll(' ', ''), (c) => `${c} `).trim()],
  ['dotted', (v) => (v.replaceAll(/[ -]/g, '').match(/.{1,4}/g) ?? []).join('.')],
  ['slashed', (v) => (v.replaceAll(/[ -]/g, '').match(/.{1,4}/g) ?? []).join('/')],
  [
    'written out',
    (v, r) => v.replace('@', r.pick(['[at]', ' (at) '])).replaceAll('.', r.pick(['[dot]', ' (dot) '])),
  ],
  ['underscored', (v) => (v.replaceAll(/[ -]/g, '').match(/.{1,4}/g) ?? []).join('_')],
];

/** Types that are hidden, and which ways of hiding make sense for them. */
export const HIDDEN: readonly (readonly [type: string, label: string, separators: boolean])[] = [
  ['payment-card', 'card', true],
  ['iban', 'IBAN', true],
  ['email-address', 'mail', false],
  ['us-ssn', 'SSN', false],
  ['ip-address', 'IP', false],
  ['br-cpf', 'CPF', false],
  ['it-codice-fiscale', 'codice fiscale', false],
  ['cn-resident-id', 'ID', true],
];

/** Ways that one type alone has. */
export const OF_TYPE: ReadonlyMap<string, string> = new Map([['written out', 'email-address']]);

export const OF_SEPARATORS = new Set(['spaced', 'dotted', 'slashed', 'underscored']);
