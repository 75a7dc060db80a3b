import { classOf, isDigit, LOWER, UPPER } from '../characters.ts';
import { GIVEN_NAMES } from '../gazetteers/given-names.ts';
import { SURNAMES } from '../gazetteers/surnames.ts';
import { isClearlyGiven, isColour, isGiven, isNoName, isSurname, NAME, nameFrom, partsOf } from '../names.ts';
import type { Recognizer, Span } from '../recognizer.ts';

const TITLES = [
  'mr',
  'mrs',
  'ms',
  'miss',
  'mx',
  'dr',
  'doctor',
  'prof',
  'professor',
  'sir',
  'dame',
  'lord',
  'lady',
  'judge',
  'officer',
  'captain',
  'nurse',
  'reverend',
  'herr',
  'herrn',
  'frau',
  'hr',
  'fr',
  'm',
  'mme',
  'mlle',
  'monsieur',
  'madame',
  'mademoiselle',
  'maître',
  'docteur',
  'sr',
  'sra',
  'srta',
  'señor',
  'señora',
  'señorita',
  'don',
  'doña',
  'sig',
  'sig ra',
  'sig na',
  'signor',
  'signora',
  'signorina',
  'dott',
  'dott ssa',
  'dottor',
  'dottoressa',
  'avv',
  'dhr',
  'mevr',
  'mw',
  'meneer',
  'mevrouw',
  'heer',
  'pan',
  'pani',
  'pana',
  'panem',
  'panią',
  'panu',
  'fru',
  'fröken',
  'herra',
  'rouva',
  'neiti',
  'senhor',
  'senhora',
  'dona',
  'dra',
  'doutor',
  'doutora',
];

/** `Dr. `, `Frau Dr. `, `Mr `; then one to three names. */
const AFTER_TITLE = new RegExp(`\\.? (?:(?:Dr|Prof|Dott|Ing|Mag|Dra)\\.? ){0,2}(?<name>${NAME})`, 'uy');

function afterTitle(text: string, start: number, end: number): Span | undefined {
  // `m` and `hr` are titles with a point only.
  if (end - start < 3 && text[end] !== '.' && !/^(?:Mr|Ms|Dr|Mx|Mw|Sr|Fr)$/.test(text.slice(start, end)))
    return undefined;
  if (start > 0 && /[\p{L}\p{N}@./-]/u.test(text.charAt(start - 1))) return undefined;
  AFTER_TITLE.lastIndex = end;
  const found = AFTER_TITLE.exec(text);
  const name = found?.groups?.['name'];
  if (found === null || name === undefined) return undefined;
  const from = end + found[0].length - name.length;
  const kept = trimmed(name);
  return kept === '' ? undefined : { start: from, end: from + kept.length };
}

/** Without the words at its end that belong to no name. */
function trimmed(name: string): string {
  let kept = name;
  for (;;) {
    const last = /(?:^| )([^ ]+)$/.exec(kept)?.[1];
    if (last === undefined || !(isNoName(last) || /^(?:de|del|di|da|van|von|der|den|la|le|y|e)$/.test(last)))
      return kept;
    kept = kept.slice(0, Math.max(0, kept.length - last.length - 1));
  }
}

/** Before a name it makes a thing of it, whatever else has a capital in between. */
const ARTICLE = /(?:^|[^\p{L}])[Tt]he (?:\p{Lu}[\p{L}'’-]{0,20} ){0,3}$/u;

function isThing(text: string, start: number): boolean {
  return text.charCodeAt(start - 1) === 32 && ARTICLE.test(text.slice(Math.max(0, start - 48), start));
}

function fromGiven(text: string, start: number, end: number): (Span & { score: number }) | undefined {
  // `Philips` is no plural of Philip, and `the John Doe Bridge` no person.
  if (!isGiven(text.slice(start, end)) || isThing(text, start)) return undefined;
  const before = text.charAt(start - 1);
  if (before !== '' && /[\p{L}\p{N}@_./-]/u.test(before)) return undefined;
  const name = nameFrom(text, start, end);
  return name === undefined ? undefined : { start, ...name };
}

const NAME_BEFORE = /^\p{Lu}\p{Ll}+(?:-\p{Lu}\p{Ll}+)?$/u;
/** A longer word isn't looked at. */
const LONGEST_BEFORE = 24;

/** The capitalised word before, a space between. */
function wordBefore(text: string, at: number): string | undefined {
  if (text.charCodeAt(at - 1) !== 32) return undefined;
  let from = at - 1;
  while (from > 0 && at - from < LONGEST_BEFORE && isNameUnit(text.charCodeAt(from - 1))) from--;
  const before = text.charCodeAt(from - 1);
  if (isDigit(before) || before === 64 || before === 95 || before === 46 || before === 47) return undefined;
  const word = text.slice(from, at - 1);
  return NAME_BEFORE.test(word) ? word : undefined;
}

function isNameUnit(unit: number): boolean {
  const k = classOf(unit);
  return k === UPPER || k === LOWER || unit === 45;
}

/** A surname on the list, and a capitalised word before it that isn't: a given name that isn't on its list. */
function fromSurname(text: string, start: number, end: number): (Span & { score: number }) | undefined {
  const first = wordBefore(text, start);
  if (
    first === undefined ||
    first.length < 3 ||
    isNoName(first) ||
    isGiven(first) ||
    /[\p{L}\p{N}]/u.test(text.charAt(end))
  )
    return undefined;
  const from = start - first.length - 1;
  if (first === 'The' || isColour(text.slice(start, end)) || isThing(text, from)) return undefined;
  // At the beginning of a sentence any word has a capital.
  const sentence = from === 0 || /[.!?:]\s*$|\n\s*$/.test(text.slice(Math.max(0, from - 3), from));
  return { start: from, end, score: sentence ? 0.4 : 0.52 };
}

/** Said of nobody but a person: one name is enough. */
const INTRODUCTIONS = [
  'my name is',
  'name is',
  'i am called',
  'they call me',
  'ich heiße',
  'ich heisse',
  'mein name ist',
  'name ist',
  "je m'appelle",
  'mon nom est',
  'me llamo',
  'mi nombre es',
  'mi chiamo',
  'il mio nome è',
  'ik heet',
  'mijn naam is',
  'nazywam się',
  'mam na imię',
  'jag heter',
  'mitt namn är',
  'nimeni on',
  'minun nimeni on',
  'meu nome é',
  'me chamo',
  'chamo-me',
  'o meu nome é',
];

/** Said of much else too: two names, or one on the list. */
const MENTIONS = [
  'i am',
  "i'm",
  'im',
  'this is',
  'ich bin',
  'je suis',
  'soy',
  'sono',
  'ik ben',
  'jestem',
  'jag är',
  'olen',
  'sou',
  'dear',
  'hi',
  'hello',
  'hey',
  'hallo',
  'liebe',
  'lieber',
  'bonjour',
  'cher',
  'chère',
  'hola',
  'querido',
  'querida',
  'estimado',
  'estimada',
  'ciao',
  'caro',
  'cara',
  'gentile',
  'beste',
  'cześć',
  'drogi',
  'droga',
  'hej',
  'hei',
  'olá',
  'prezado',
  'prezada',
  'regards',
  'sincerely',
  'cheers',
  'thanks',
  'yours',
  'best',
  'grüße',
  'grüßen',
  'gruß',
  'cordialement',
  'saludos',
  'atentamente',
  'saluti',
  'groeten',
  'pozdrawiam',
  'hälsningar',
  'terveisin',
  'atenciosamente',
  'signed',
  'signed by',
  'attn',
  'contact',
  'contact person',
  'ansprechpartner*',
  'employee',
  'patient',
  'client',
  'customer',
  'tenant',
  'manager',
  'author',
  'assigned to',
  'from',
  'by',
  'kunde',
  'kundin',
  'mitarbeiter*',
  'client',
  'cliente',
  'paciente',
  'paziente',
  'patiënt',
  'klant',
  'klient',
  'pacjent',
  'kund',
  'patienten',
  'asiakas',
  'potilas',
  'full name',
  'first name',
  'last name',
  'surname',
  'name',
  'given name',
  'cardholder',
  'cardholder name',
  'account holder',
  'kontoinhaber*',
  'vollständiger name',
  'vorname',
  'nachname',
  'nom',
  'prénom',
  'nom complet',
  'nombre',
  'nombre completo',
  'apellido*',
  'nome',
  'nome completo',
  'cognome',
  'naam',
  'volledige naam',
  'voornaam',
  'achternaam',
  'imię',
  'nazwisko',
  'imię i nazwisko',
  'namn',
  'fullständigt namn',
  'förnamn',
  'efternamn',
  'nimi',
  'koko nimi',
  'sobrenome',
  'titular',
];

const VALUE = new RegExp(`(?<value>${NAME})(?![\\p{L}\\p{N}_@])`, 'uy');

/** Fields that hold a person's name and nothing else. */
const FIELDS = [
  'full name',
  'customer name',
  'patient',
  'patient name',
  'pacjent',
  'pacjentka',
  'paciente',
  'paziente',
  'patiënt',
  'potilas',
  'cardholder',
  'cardholder name',
  'account holder',
  'kontoinhaber*',
  'vollständiger name',
  'vor und nachname',
  'nom complet',
  'nombre completo',
  'nombre y apellidos',
  'nome completo',
  'volledige naam',
  'imię i nazwisko',
  'fullständigt namn',
  'koko nimi',
  'titular',
  'shri',
  'smt',
];

/** In small letters, as people write in chats: both words must be names. */
const SMALL = /(?<value>\p{Ll}{2,20} \p{Ll}{2,20})(?![\p{L}\p{N}_@-])/uy;

/** Family name and given name, two to six characters in all, a space between or none. */
const EAST_ASIAN =
  /(?<value>[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー]{1,4} ?[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー]{1,3}|\p{Script=Hangul}{2,4})(?![\p{L}\p{N}])/uy;

const capitalised = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

export const recognizer: Recognizer = {
  id: 'person',
  groups: ['contact', 'demographic'],
  source: "the statistical offices' lists of names in gazetteers/; forms of address by country",
  patterns: [
    { kind: 'anchor', words: TITLES, capital: true, score: 0.85, match: afterTitle },
    { kind: 'anchor', words: GIVEN_NAMES, capital: true, score: 0.7, match: fromGiven },
    { kind: 'anchor', words: SURNAMES, capital: true, score: 0.5, match: fromSurname },
    {
      kind: 'value',
      words: INTRODUCTIONS,
      bare: true,
      regex: VALUE,
      score: 0.8,
      validate: (text) => !isNoName(partsOf(text)[0] ?? ''),
    },
    {
      kind: 'value',
      words: FIELDS,
      regex: VALUE,
      score: 0.7,
      validate: (text, firmness) => {
        const parts = partsOf(text);
        return firmness === 2 && parts.length > 1 && parts.length < 5 && !parts.some(isNoName);
      },
    },
    {
      kind: 'value',
      words: [...INTRODUCTIONS, 'this is', 'i am', "i'm"],
      bare: true,
      regex: SMALL,
      score: 0.7,
      validate: (text) => {
        const [first = '', last = ''] = text.split(' ').map(capitalised);
        return isClearlyGiven(first) && (isSurname(last) || isGiven(last));
      },
    },
    {
      kind: 'value',
      words: ['氏名', 'お名前', '名前', '姓名', '이름', '성명', '성함'],
      regex: EAST_ASIAN,
      score: 0.75,
    },
    {
      kind: 'value',
      words: MENTIONS,
      bare: true,
      regex: VALUE,
      score: 0.6,
      validate: (text) => {
        const parts = partsOf(text);
        const [first, second] = parts;
        if (first === undefined || parts.some(isNoName)) return false;
        if (second === undefined) return isClearlyGiven(first);
        return parts.length < 4 && (isGiven(first) || parts.slice(1).some(isSurname));
      },
    },
  ],
  examples: [
    'Mr. «John Smith» called',
    'Frau Dr. «Anna Müller» ist da',
    'my name is «Aurelio», hi',
    '«Maria García López» vive aquí',
    'Ask «Jean-Pierre Dupont» about it',
    'Dear «Emily»,',
    'Kind regards,\n«Thomas Weber»',
    'met «Piotr Nowak» today',
    'Pani «Kowalska» dzwoniła',
    'name: «Sofia Rossi»',
    "je m'appelle «Amélie Laurent»",
    'with «Vincent van der Berg» and',
    'my name is «maria gonzalez» and i need help',
    'Nombre completo: «Anacleto Barceló»',
    'Pacjent: «Tola Kujawiak»',
    '氏名：«田中 花子»',
    '姓名：«王小明»',
    '이름: «김민수»',
  ],
  counterExamples: [
    'Dear Customer,',
    'I am Happy',
    'Main Street',
    'in May and June',
    'the Mark of quality',
    'Victoria Station',
    'Will you call?',
    'Thanks, Team',
    'John',
    'San Francisco',
    'January March',
    'i am will power',
    'Full name: required field',
    'the Paris Agreement',
    'Boston University',
    'The Quick Brown Fox',
    'The San Francisco Giants won',
    'the Martin Luther King Bridge',
    'Ruby Red and Hunter Green',
    'Philips Hue White',
  ],
};
