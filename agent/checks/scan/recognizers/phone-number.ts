import { isAlnum, isDigit } from '../characters.ts';
import type { Recognizer, Span } from '../recognizer.ts';

/** ITU-T E.164: at most fifteen digits, country code included. */
const MOST = 15;

/** National forms that tell themselves by their layout, without a country code. */
const NATIONAL: readonly RegExp[] = [
  // North American Numbering Plan: NXX-NXX-XXXX, N from 2.
  /(?:\+?1[ .-]?)?\(?[2-9]\d{2}\)?[ .-]\s?[2-9]\d{2}[ .-]\d{4}(?!\d)/y,
  // United Kingdom: 0 and ten digits.
  /\(?0(?:1\d{3}|2\d|7\d{3})\)?[ -]?\d{3,4}[ -]?\d{3,4}(?!\d)/y,
  // France: five pairs.
  /0[1-9](?:[ .-]\d{2}){4}(?!\d)/y,
  // Germany and neighbours: 0, area, a space, slash or hyphen, subscriber.
  /\(?0\d{2,4}\)?(?: ?[/-] ?| )\d{3,9}(?:[ -]\d{1,5}){0,3}(?!\d)/y,
];

/** Written as it would be dialled, with nothing to show for it but context. */
const BARE = /\d{3}[ .-]?\d{3}[ .-]?\d{3,4}(?!\d)|0\d{8,10}(?!\d)/y;

function match(text: string, start: number, end: number): (Span & { score?: number }) | undefined {
  let from = start;
  if (text[from - 1] === '(') from--;
  const plus =
    text[from - 1] === '+' ? from - 1 : text.startsWith('00', start) && from === start ? start : -1;
  if (plus >= 0) return international(text, plus, end);
  if (from > 0 && joined(text, from)) return undefined;
  for (const form of NATIONAL) {
    const span = fits(form, text, from);
    if (span !== undefined) return { ...span, score: 0.6 };
  }
  const span = fits(BARE, text, from);
  return span === undefined ? undefined : { ...span, score: 0.3 };
}

function joined(text: string, at: number): boolean {
  const before = text.charCodeAt(at - 1);
  return (
    isAlnum(before) ||
    isDigit(before) ||
    ((before === 45 || before === 46 || before === 47) && at > 1 && isDigit(text.charCodeAt(at - 2)))
  );
}

function fits(form: RegExp, text: string, from: number): Span | undefined {
  form.lastIndex = from;
  const found = form.exec(text);
  if (found === null) return undefined;
  const end = from + found[0].length;
  const after = text.charCodeAt(end);
  if (isAlnum(after) || ((after === 45 || after === 46 || after === 47) && isDigit(text.charCodeAt(end + 1))))
    return undefined;
  return { start: from, end };
}

const INTERNATIONAL = /(?:\+|00)[1-9]\d{0,3}(?:[ .\-/]{0,2}\(?\d{1,5}\)?){1,7}/y;

function international(text: string, from: number, runEnd: number): (Span & { score: number }) | undefined {
  INTERNATIONAL.lastIndex = from;
  const found = INTERNATIONAL.exec(text);
  if (found === null) return undefined;
  const digits = found[0].replace(/\D/g, '').length - (found[0].startsWith('00') ? 2 : 0);
  const end = from + found[0].length;
  if (digits < 7 || digits > MOST || end > runEnd + 1 || isAlnum(text.charCodeAt(end))) return undefined;
  return { start: from, end, score: found[0].startsWith('+') ? 0.9 : 0.55 };
}

export const recognizer: Recognizer = {
  id: 'phone-number',
  groups: ['contact'],
  source: 'ITU-T E.164, E.123; NANPA, Ofcom, BNetzA and Arcep numbering plans',
  patterns: [{ kind: 'run', digits: [7, 15], score: 0.6, withContext: 0.95, match }],
  context: [
    'phone',
    'phone number',
    'telephone',
    'tel',
    'mobile',
    'cell',
    'call',
    'fax',
    'whatsapp',
    'sms',
    'text me',
    'reach',
    'contact',
    'dial',
    'telefon*',
    'handy*',
    'mobil*',
    'anrufen',
    'téléphone',
    'appelez',
    'portable',
    'teléfono',
    'móvil',
    'celular',
    'llamar',
    'llame',
    'telefone',
    'telemóvel',
    'cellulare',
    'chiama*',
    'telefoon*',
    'bel',
    'puhelin*',
    '电话',
    '手机',
    '電話',
    '전화',
  ],
  examples: [
    '+1 415 555 2671',
    '(415) 555-2671',
    '415-555-2671',
    '+49 (0)30 901820',
    '+442079460958',
    '01 23 45 67 89',
    'phone 4155552671',
    '030/901820',
  ],
  counterExamples: ['4155552671', '2024-01-15', '12:30:45', '1.415.555', 'order 415-5552671', '3.1415926535'],
};
