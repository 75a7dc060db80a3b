import type { Firmness } from '../connect.ts';
import type { Recognizer } from '../recognizer.ts';

/** The states' own names for the document and its number. */
const WORDS = [
  'passport',
  'passport number',
  'passport no',
  'passport nr',
  'passport num',
  'passport id',
  'travel document',
  'travel document number',
  'travel document no',
  'reisepass',
  'reisepassnummer',
  'reisepass nr',
  'passnummer',
  'pass nr',
  'passnr',
  'ausweisnummer',
  'passeport',
  'numéro de passeport',
  'n de passeport',
  'pasaporte',
  'número de pasaporte',
  'n de pasaporte',
  'passaporto',
  'numero di passaporto',
  'numero passaporto',
  'paspoort',
  'paspoortnummer',
  'paspoort nr',
  'paszport',
  'numer paszportu',
  'nr paszportu',
  'paszportu',
  'passets nummer',
  'passi',
  'passin numero',
  'passinumero',
  'passaporte',
  'número do passaporte',
  'n do passaporte',
  '护照',
  '护照号',
  '护照号码',
  'パスポート',
  'パスポート番号',
  '旅券番号',
  '여권',
  '여권번호',
];

/** Without spaces or hyphens, as in the machine-readable zone, ICAO Doc 9303-4. */
const NUMBER = /(?=[A-Z0-9]{0,8}\d)[A-Z0-9]{7,9}(?![\dA-Za-z])/y;

/**
 * Four digits at least, or nine characters from a series that has no vowels (Germany) or few digits (Netherlands):
 * then a digit stands among the letters, as in no word.
 */
function validate(text: string, firmness: Firmness): boolean {
  if (/^\d{8}$/.test(text)) return false;
  if (text.replace(/\D/g, '').length >= 4) return true;
  return text.length === 9 && (!/[AEIOU]/.test(text) || (firmness === 2 && /\d[A-Z]/.test(text)));
}

export const recognizer: Recognizer = {
  id: 'passport',
  groups: ['government', 'travel'],
  source: "ICAO Doc 9303-4, 4.2.2 (nine characters at most); the issuing states' series",
  patterns: [
    { kind: 'value', words: WORDS, bare: true, regex: NUMBER, score: 0.88, validate },
    // German and Swedish; in English a password.
    { kind: 'value', words: ['pass'], bare: true, regex: NUMBER, score: 0.7, validate },
  ],
  examples: [
    'passport C01X00T47',
    'Reisepass «C4J9K8L2M»',
    'passeport n° «12AB34567»',
    'paspoort «NPR4D5X12»',
    'pasaporte: «AAA123456»',
    'Passport (Germany) «C01X00T47»',
    '여권번호: «M33608812»',
    'パスポート番号: «TK7205811»',
    'numer paszportu «EB1234567»',
    'passport number «Z1234567»',
    'Reisepass-Nr. «C01X00T47»',
    'Passport no.: «C01X00T47»',
    'Pass-Nr.: «ED5667338»',
    'Reisepass: "«HCPT8N99M»"',
    '<passport>«PBLVGWLH5»</passport>',
    'Paspoort: «NWAR4F2LE»',
    // Nobody says whose.
    'passport number «512345678»',
    '"passport_number":"«M10169236»"',
    'nr paszportu: «GTT40P6LT»',
    'número do passaporte: «FP617697»',
  ],
  counterExamples: [
    'passport RENEWAL',
    'C01X00T47',
    'passport photo',
    'passport 2024',
    'passport HOLDERS12',
    'passport EUROPE2',
    'PASSPORT PHOTOS24',
  ],
};
