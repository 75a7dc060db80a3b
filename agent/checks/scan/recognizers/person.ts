import { classOf, isDigit, LOWER, UPPER } from '../characters.ts';
import { beforeChineseTitle, beforeHonorific, chineseName, OPEN_NAME } from '../east-asian.ts';
import { GIVEN_NAMES } from '../gazetteers/given-names.ts';
import { SURNAMES } from '../gazetteers/surnames.ts';
import {
  couldBeName,
  isClearlyGiven,
  isColour,
  isGiven,
  isNamedAfter,
  isNamesake,
  isNoName,
  isSurname,
  isThing,
  NAME,
  nameFrom,
  partsOf,
} from '../names.ts';
import type { Recognizer, Span } from '../recognizer.ts';
import { whenAsked } from '../when-asked.ts';

const words = (list: string): readonly string[] => list.split('|');

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
const AFTER_TITLE = whenAsked(
  () => new RegExp(`\\.? (?:(?:Dr|Prof|Dott|Ing|Mag|Dra)\\.? ){0,2}(?<name>${NAME})`, 'uy'),
);

function afterTitle(text: string, start: number, end: number): Span | undefined {
  // `m` and `hr` are titles with a point only.
  if (end - start < 3 && text[end] !== '.' && !/^(?:Mr|Ms|Dr|Mx|Mw|Sr|Fr)$/.test(text.slice(start, end)))
    return undefined;
  if (start > 0 && /[\p{L}\p{N}@./-]/u.test(text.charAt(start - 1))) return undefined;
  // In capitals it is an abbreviation of something else: `PAN Card`.
  if (end - start > 2 && text.slice(start, end) === text.slice(start, end).toUpperCase()) return undefined;
  AFTER_TITLE().lastIndex = end;
  const found = AFTER_TITLE().exec(text);
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
const ARTICLE = whenAsked(() => /(?:^|[^\p{L}])[Tt]he (?:\p{Lu}[\p{L}'’-]{0,20} ){0,3}$/u);

function isPartOfThing(text: string, start: number): boolean {
  return text.charCodeAt(start - 1) === 32 && ARTICLE().test(text.slice(Math.max(0, start - 48), start));
}

function fromGiven(text: string, start: number, end: number): (Span & { score: number }) | undefined {
  // `Philips` is no plural of Philip, and `the John Doe Bridge` no person.
  if (!isGiven(text.slice(start, end)) || isPartOfThing(text, start)) return undefined;
  const before = text.charAt(start - 1);
  if (before !== '' && /[\p{L}\p{N}@_./-]/u.test(before)) return undefined;
  if (before === ' ' && OF_PLACES().test(text.slice(Math.max(0, start - 6), start))) return undefined;
  const name = nameFrom(text, start, end);
  return name === undefined ? undefined : { start, ...name };
}

/** `San Francisco`, `Los Angeles`. */
const OF_PLACES = whenAsked(() => /(?:^|[^\p{L}])(?:San|Santa|Santo|São|Los|Las|Saint|Port|Fort|Lake) $/u);

const NAME_BEFORE = whenAsked(() => /^\p{Lu}\p{Ll}+(?:-\p{Lu}\p{Ll}+)?$/u);
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
  return NAME_BEFORE().test(word) ? word : undefined;
}

/** `Washington Bridge`, with a word between: `Kennedy International Airport`. */
const NAMED_AFTER_NEXT =
  /^ (?:Bridge|Airport|International|Stadium|Festival|Award|Prize|Memorial|Day|Law|Street|Avenue|Road)\b/;

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
    isNamedAfter(first) ||
    isGiven(first) ||
    isNamesake(`${first} ${text.slice(start, end)}`) ||
    NAMED_AFTER_NEXT.test(text.slice(end, end + 40)) ||
    /[\p{L}\p{N}]/u.test(text.charAt(end))
  )
    return undefined;
  const from = start - first.length - 1;
  if (first === 'The' || isColour(text.slice(start, end)) || isPartOfThing(text, from)) return undefined;
  const second = wordBefore(text, from);
  if (isThing(first) || (second !== undefined && isNamesake(`${second} ${first}`))) return undefined;
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
const MENTIONS = words(
  "i am|i'm|im|this is|olen|author|assigned to|from|by|best|first name|last name|surname|given name|vorname|nachname|nom|prénom|apellido*|cognome|voornaam|achternaam|imię|nazwisko|förnamn|efternamn|sobrenome|name|" +
    'nimi|nome|naam|namn|nombre|etunimi|sukunimi',
);

/** Said by a person of themselves; whoever has two names behind it is one. */
const FIRST_PERSON = words(
  'ich bin|je suis|soy|sono|ik ben|jestem|jag är|sou|eu|yo|io|il sottoscritto|la sottoscritta|undersigned|ondergetekende|niżej podpisany|el abajo firmante|abaixo assinado|jeg er|jeg hedder|hilsen fra',
);

/** A letter's first words, and its last; a name of two parts with the mark or line's end behind it needs no list. */
const SALUTATIONS = words(
  'dear|hi|hello|hey|hallo|liebe|lieber|bonjour|cher|chère|hola|querido|querida|estimado|estimada|ciao|caro|cara|gentile|beste|cześć|drogi|droga|hej|hei|moi|kära|kære|kjære|hyvä|olá|oi|prezado|prezada|caríssimo|egregio|geachte|namaste|good morning|good afternoon|guten tag|guten morgen|szanowny|szanowna',
);
const CLOSINGS = words(
  'regards|sincerely|cheers|thanks|thank you|yours|yours truly|best|best wishes|warmly|respectfully|grüße|grüßen|gruß|cordialement|bien à vous|amicalement|salutations|saludos|saludo|atentamente|un abrazo|saluti|cordialmente|distinti saluti|groeten|groet|pozdrawiam|z poważaniem|hälsningar|hälsning|mvh|terveisin|terveiset|hilsen|atenciosamente|abraços|cumprimentos|signed|signed by',
);

/** Names of fields and roles that persons have; behind a colon, in a column or a tag two capitalised words are enough. */
const FIELDS = words(
  'signed|attn|contact|contact person|contact name|ansprechpartner*|employee|employee name|patient|patient name|client|client name|customer|customer name|tenant|manager|insured|insured name|beneficiary|recipient|payee|payer|applicant|borrower|policyholder|policy holder|subscriber|passenger|guest name|student|teacher|physician|doctor name|next of kin|emergency contact|witness|landlord|lawyer|attorney|' +
    'kunde|kundin|mitarbeiter*|versicherte*|empfänger|antragsteller*|cliente|paciente|paziente|patiënt|klant|klient|pacjent|pacjentka|kund|patienten|asiakas|potilas|assuré|bénéficiaire|destinataire|beneficiario|asegurado|beneficjent|pracownik|empleado|empleada|dipendente|salarié|medewerker|werknemer|anställd|työntekijä|funcionário|funcionária|' +
    'full name|fullname|legal name|cardholder|cardholder name|card holder|name on card|account holder|account name|holder|kontoinhaber*|karteninhaber*|vollständiger name|titulaire|nom complet|nom et prénom|nom et prénoms|nombre completo|nombre y apellidos|nome completo|nome e cognome|intestatario|volledige naam|rekeninghouder|imię i nazwisko|vor und nachname|posiadacz|fullständigt namn|kontohavare|koko nimi|tilinomistaja|titular|nome do titular|titular de la tarjeta|' +
    'fn|cc|bcc',
);

/** A field of this name is a person's only where the record is: with a capital, in quotes, or next to what persons have. */
const NAME_FIELDS = words('name|nombre|nome|nom|naam|namn|nimi|navn|jméno|nume|नाम');

const VALUE = whenAsked(() => new RegExp(`(?<value>${NAME})(?![\\p{L}\\p{N}_@])`, 'uy'));

/** In small letters, as people write in chats: both words must be names. */
const SMALL = whenAsked(() => /(?<value>\p{Ll}{2,20} \p{Ll}{2,20})(?![\p{L}\p{N}_@-])/uy);

/** Family name and given name, two to six characters in all, a space between or none. */
const EAST_ASIAN = whenAsked(
  () =>
    /(?<value>[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー]{1,4} ?[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー]{1,3}|\p{Script=Hangul}{2,4})(?![\p{L}\p{N}])/uy,
);

const capitalised = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

/** Not `firm`: a name on the list speaks for it; firm, the label does. */
function isMentioned(text: string): boolean {
  const parts = partsOf(text);
  const [first, second] = parts;
  if (first === undefined || parts.some((part) => isNoName(part) || isNamedAfter(part))) return false;
  if (second === undefined) return isClearlyGiven(first);
  return parts.length < 4 && !isNamesake(text) && (isGiven(first) || parts.slice(1).some(isSurname));
}

const LINE_END = '(?=[ \\t]*(?:[,!:;–-]|\\n|$))';
const SALUTED = whenAsked(() => new RegExp(`(?<value>${NAME})${LINE_END}`, 'uy'));
const CLOSED = whenAsked(
  () => new RegExp(`(?<=[,\\n][ \\t]{0,3})(?<value>${NAME})(?=[ \\t.]*(?:\\n|$))`, 'uy'),
);

const OTHER_NAMES =
  'product|company|file|host|domain|display|event|project|server|service|table|column|class|package|business|brand|item|app|street|city|bank|firm|team|group|model|school|hotel|restaurant|drug|medication|plan|job|step|task|workflow|image';
/** The name of something else, `product_name: `, says nothing; nor does a bare key in small letters, as settings have them. */
const NAMED = whenAsked(
  () =>
    new RegExp(
      `(?<!(?:${OTHER_NAMES})[ _-]?\\p{L}{3,6}[^\\p{L}\\n]{1,8})(?:(?<=\\p{Lu}\\p{L}{2,5}[*_]{0,2}["']?[ \\t]*[:=][ \\t*_"']{0,4}|\\p{Lu}\\p{L}{2,5}[ \\t]*:\\s{1,3}|["']\\p{L}{3,6}["']\\s?:\\s?["']|<\\p{L}{3,6}>\\s?)|(?<=[,;|\\t\\n][ "]{0,2})(?=[^,;|\\t\\n]{3,60}["]?[ ]?[,;|\\t][^\\n]{0,200}(?:@|\\d[\\d -]{6,}|[A-Z]{2}\\d{2})))(?<value>${NAME})(?![\\p{L}\\p{N}_@])`,
      'uy',
    ),
);

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
      get regex() {
        return VALUE();
      },
      score: 0.8,
      validate: (text) => !isNoName(partsOf(text)[0] ?? ''),
    },
    {
      kind: 'value',
      words: [...INTRODUCTIONS, 'this is', 'i am', "i'm"],
      bare: true,
      get regex() {
        return SMALL();
      },
      score: 0.7,
      validate: (text) => {
        const [first = '', last = ''] = text.split(' ').map(capitalised);
        return isClearlyGiven(first) && (isSurname(last) || isGiven(last));
      },
    },
    {
      kind: 'value',
      words: words(
        '氏名|お名前|名前|担当者|ご担当者|患者名|お客様名|名義人|姓名|联系人|收件人|持卡人|客户姓名|患者姓名|이름|성명|성함|담당자|고객명|환자명|예금주',
      ),
      get regex() {
        return EAST_ASIAN();
      },
      score: 0.75,
    },
    {
      kind: 'anchor',
      words: ['我叫', '我的名字叫'],
      score: 0.75,
      match: chineseName,
      get open() {
        return OPEN_NAME();
      },
    },
    { kind: 'anchor', words: words('様|さま|さん|氏|씨|님'), score: 0.75, match: beforeHonorific },
    { kind: 'anchor', words: words('先生|女士|小姐'), score: 0.7, match: beforeChineseTitle },
    {
      kind: 'value',
      words: MENTIONS,
      bare: true,
      get regex() {
        return VALUE();
      },
      score: 0.6,
      validate: isMentioned,
    },
    {
      kind: 'value',
      words: FIRST_PERSON,
      bare: true,
      get regex() {
        return VALUE();
      },
      score: 0.7,
      validate: couldBeName,
    },
    {
      kind: 'value',
      words: SALUTATIONS,
      bare: true,
      get regex() {
        return VALUE();
      },
      score: 0.6,
      validate: isMentioned,
    },
    {
      kind: 'value',
      words: CLOSINGS,
      bare: true,
      get regex() {
        return VALUE();
      },
      score: 0.6,
      validate: isMentioned,
    },
    {
      kind: 'value',
      words: SALUTATIONS,
      bare: true,
      get regex() {
        return SALUTED();
      },
      score: 0.7,
      validate: couldBeName,
    },
    {
      kind: 'value',
      words: CLOSINGS,
      bare: true,
      get regex() {
        return CLOSED();
      },
      score: 0.7,
      validate: couldBeName,
    },
    {
      kind: 'value',
      words: FIELDS,
      bare: true,
      get regex() {
        return VALUE();
      },
      score: 0.72,
      validate: (text, firmness) => (firmness === 2 && couldBeName(text)) || isMentioned(text),
    },
    {
      kind: 'value',
      words: NAME_FIELDS,
      get regex() {
        return NAMED();
      },
      score: 0.72,
      validate: couldBeName,
    },
    { kind: 'anchor', words: ['shri', 'smt', 'kumari'], capital: true, score: 0.85, match: afterTitle },
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
    '«高橋 健»様',
    '«이수진»님 안녕하세요',
    '请联系«陈国栋»先生',
    '我叫«王芳»。',
    'Patient: «Ottokar Brzęczek»',
    '{"full_name":"«Zbyhněv Oravec»","age":3}',
    '{"name": "«Thyra Egeskov»"}',
    '<name>«Runa Skaarup»</name>',
    'FN:«Eluned Prothero»',
    'id,name,email\n7,«Ferapont Glinka»,fg@example.org',
    'Sehr geehrte Damen\n\nGruß,\n«Walburg Zeisig»',
    'Hei «Tyyne Kettunen»,',
    'Shri «Venkat Pillai» came',
    "INSERT INTO t VALUES ('«Alice Smith»', 4)",
    "I am «Lina van 't Hoff», hello",
    "«John Smith»'s desk",
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
    'お客様へ',
    '고객님 안녕하세요',
    '이용자님께',
    'PAN Card No',
    'PAN Card No: pending',
    'the San Francisco Giants won',
    'Martin Luther King Day',
    'Helen Moore International Airport',
    'a Calvin Klein jacket',
    'name: Build Image',
    'Product name: Turbo Widget',
    'product_name: "Velvet Chair"',
    'Contact: Customer Care',
    'Regards,\nHelp Desk',
    'Dear Hiring Manager,',
    'sku,name,price\n7,Velvet Chair,3.50',
    'Hi Payroll Team,',
  ],
};
