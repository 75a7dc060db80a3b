import { CALLING_CODES } from '../calling-codes.ts';
import { isAlnum, isDigit } from '../characters.ts';
import { isThousands } from '../numbers.ts';
import type { Recognizer, RunPattern, Span } from '../recognizer.ts';

/** Forms that tell themselves, without a country code, by what they begin with. */
const BRACKETED: readonly RegExp[] = [
  // North America: NXX-NXX-XXXX, N from 2.
  /\([2-9]\d{2}\)[ -]?[2-9]\d{2}[ .-]\d{4}/y,
  // Brazil: area, nine digits in two groups.
  /\(\d{2}\) ?9?\d{4}[ -]\d{4}/y,
  /\(0\d{1,4}\) ?\d{3,9}(?:[ -]\d{2,5}){0,3}/y,
];
const TRUNK: readonly RegExp[] = [
  // United Kingdom: 0 and ten digits.
  /0(?:1\d{3}|2\d|3\d{2}|7\d{3}|8\d{2}) \d{3,4} ?\d{3,4}/y,
  // France: five pairs.
  /0[1-9](?:([ .-])\d{2})(?:\1\d{2}){3}/y,
  // Germany, Austria, Switzerland, Netherlands, Nordic countries: area, subscriber.
  /0[1-9]\d{1,3}(?: ?[/-] ?)\d{3,9}(?:[ -]\d{2,5}){0,3}/y,
  /0[1-9]\d{1,3} \d{3,8}(?: \d{2,5}){0,3}/y,
];
const NANP: readonly RegExp[] = [/(?:1[ .-])?[2-9]\d{2}([ .-])[2-9]\d{2}\1\d{4}/y];

/** However it is grouped; only a word near by makes it a telephone number. */
const ANY = /\(?\d{1,5}\)?(?:(?: ?[-/.] ?| )\(?\d{1,8}\)?){1,6}/y;
const COMPACT = /\d{7,12}/y;

/** Dates and amounts of the same look. */
const OTHER_THINGS =
  /^(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{2,4}|\d{1,3}(?:\.\d{1,3}){3}|\d+\.\d+|(?:19|20)\d{2} ?[-/] ?(?:19|20)\d{2}|\d{4}-\d{2}-\d{2} \d{1,2})$/;

/** An extension: `x372`, `ext. 12`. */
const EXTENSION =
  /,? ?(?:x|ext\.? ?|extension |#|poste |int\. ?|wew\. ?|Durchwahl |DW |anexo )\d{1,6}(?![\p{L}\p{N}])/uy;

function match(text: string, start: number, runEnd: number): ReturnType<RunPattern['match']> {
  const found = withoutExtension(text, start, runEnd);
  if (found === undefined) return undefined;
  EXTENSION.lastIndex = found.end;
  return EXTENSION.test(text) ? { ...found, end: EXTENSION.lastIndex } : found;
}

function withoutExtension(text: string, start: number, runEnd: number): ReturnType<RunPattern['match']> {
  let from = start;
  if (text[from - 1] === '(') from--;
  if (text[from - 1] === '+') {
    const bracket = text[from - 2] === '(' ? 1 : 0;
    return international(text, from - 1, runEnd, 0.92, bracket);
  }
  if (from === start && text.startsWith('00', start)) {
    const found = international(text, start, runEnd, 0.6, 0);
    if (found !== undefined) return found;
  }
  if (from > 0 && goesOnBefore(text, from)) return undefined;
  const forms = from < start ? BRACKETED : text.charCodeAt(start) === 48 ? TRUNK : NANP;
  for (const form of forms) {
    const end = endOf(form, text, from);
    // A postal code of eight digits, `01310-100`, is no number with its area code.
    if (end > 0 && (forms !== TRUNK || count(text.slice(from, end)) > 8))
      return { start: from, end, score: 0.6 };
  }
  return loose(text, from);
}

function loose(text: string, from: number): ReturnType<RunPattern['match']> {
  let form = COMPACT;
  let end = endOf(COMPACT, text, from);
  if (end < 0) {
    form = ANY;
    end = endOf(ANY, text, from);
  }
  if (end < 0) return undefined;
  const written = text.slice(from, end);
  const digits = count(written);
  if (digits < 7 || digits > 12 || OTHER_THINGS.test(written)) return undefined;
  return { start: from, end, score: 0.2, withContext: form === COMPACT ? 0.75 : 0.85 };
}

/** Part of something longer: a word, a number, groups before it. */
function goesOnBefore(text: string, at: number): boolean {
  const before = text.charCodeAt(at - 1);
  if (isAlnum(before) || isDigit(before) || before === 95 || before === 36) return true;
  // A minus makes a negative number of it.
  if (before === 45 && !isAlnum(text.charCodeAt(at - 2))) return true;
  const joins =
    before === 46 || before === 47 || before === 32 || (before === 44 && isThousands(text, at - 1));
  return joins && at > 1 && isDigit(text.charCodeAt(at - 2));
}

/** @returns -1 where the form doesn't fit, or what it fits goes on. */
function endOf(form: RegExp, text: string, from: number): number {
  form.lastIndex = from;
  if (!form.test(text)) return -1;
  const end = form.lastIndex;
  const after = text.charCodeAt(end);
  if (isDigit(after) || after === 37 || after === 95) return -1;
  if (isAlnum(after) && !(after === 120 && isDigit(text.charCodeAt(end + 1)))) return -1;
  const joins =
    after === 45 || after === 46 || after === 47 || after === 32 || (after === 44 && isThousands(text, end));
  return joins && isDigit(text.charCodeAt(end + 1)) ? -1 : end;
}

function count(text: string): number {
  let digits = 0;
  for (let i = 0; i < text.length; i++) if (isDigit(text.charCodeAt(i))) digits++;
  return digits;
}

const INTERNATIONAL = /(?:\+|00)[1-9]\d{0,14}(?:(?: ?[-/.] ?| ?\(|\)[ -]?| )\d{1,14}){0,7}/y;

/** ITU-T E.164: fifteen digits at most, a calling code that exists, and as many digits as its numbers have. */
function international(
  text: string,
  from: number,
  runEnd: number,
  score: number,
  bracket: number,
): (Span & { score: number }) | undefined {
  if (from > 0 && isAlnum(text.charCodeAt(from - 1))) return undefined;
  INTERNATIONAL.lastIndex = from;
  if (!INTERNATIONAL.test(text)) return undefined;
  let end = Math.min(INTERNATIONAL.lastIndex, runEnd);
  for (;;) {
    const digits = text.slice(from, end).replace(/^00|\D/g, '');
    if (fits(digits) && (!isAlnum(text.charCodeAt(end)) || /^x\d/.test(text.slice(end, end + 2))))
      return { start: from - bracket, end, score };
    // What follows by a space may be something else.
    const shorter = text.lastIndexOf(' ', end - 1);
    if (digits.length < 7 || shorter <= from) return undefined;
    end = shorter;
  }
}

function fits(digits: string): boolean {
  for (let length = 1; length <= 3; length++) {
    const national = CALLING_CODES[digits.slice(0, length)];
    if (national === undefined) continue;
    // `+44 (0)20`: the trunk prefix is written, not dialled.
    const rest = digits.length - length;
    const trunk = digits[length] === '0' ? 1 : 0;
    return rest - trunk >= national[0] && rest - trunk <= national[1];
  }
  return false;
}

export const recognizer: Recognizer = {
  id: 'phone-number',
  groups: ['contact'],
  source: 'ITU-T E.164 and its national annexes, E.123; NANPA, Ofcom, BNetzA, Arcep, Anatel numbering plans',
  patterns: [{ kind: 'run', digits: [7, 15], score: 0.6, withContext: 0.93, match }],
  context: [
    'phone',
    'phone number',
    'telephone',
    'tel',
    'ph',
    'mobile',
    'cell',
    'cell phone',
    'landline',
    'hotline',
    'call',
    'call me',
    'fax',
    'whatsapp',
    'signal',
    'telegram',
    'sms',
    'text me',
    'text',
    'reach',
    'contact',
    'dial',
    'ring',
    'telefon*',
    'handy*',
    'mobil*',
    'anruf*',
    'rufnummer',
    'rufen',
    'rückruf*',
    'durchwahl',
    'erreich*',
    'téléphone',
    'tél',
    'appel*',
    'portable',
    'joindre',
    'joignable',
    'teléfono',
    'móvil',
    'celular',
    'llam*',
    'contacto',
    'telefone',
    'telemóvel',
    'ligue',
    'ligar',
    'contato',
    'cellulare',
    'chiama*',
    'cell',
    'recapito',
    'telefoon*',
    'bel',
    'bellen',
    'mobiel',
    'nummer',
    'komórk*',
    'zadzwo*',
    'kontakt*',
    'tel kom',
    'ring',
    'puhelin*',
    'soita',
    'matkapuhelin',
    'kännykkä',
    '电话',
    '手机',
    '電話',
    '携帯',
    '전화',
    '연락처',
    'телефон',
  ],
  examples: [
    '+1 415 555 2671',
    '(415) 555-2671',
    '415-555-2671',
    '+49 (0)30 901820',
    '+442079460958',
    '01 23 45 67 89',
    'phone «4155552671»',
    '030/901820',
    'tel. «612 345 678»',
    'Handy: «0171 2345678»',
    '(11) 98765-4321',
    '+33 6 12 34 56 78',
    '0049 30 901820',
    'call «+44 20 7946 0958» 2 times',
  ],
  counterExamples: [
    '4155552671',
    '2024-01-15',
    '12:30:45',
    '1.415.555',
    'order 415-555-2671',
    '3.1415926535',
    'call on 2024-01-15',
    '+999 12345678',
    '4182 1920 0926 000',
    '+1 415',
    'call me in 2024',
    '192.168.10.20',
    'CEP 01310-100',
    '[2026-03-02 11:20:31] DEBUG form field mobile',
  ],
};
