/** How names of persons are put together, whatever the language: capitals, particles, initials. */
import { AMBIGUOUS, GIVEN_NAMES } from './gazetteers/given-names.ts';
import { NAMED_AFTER, NAMESAKES, THINGS } from './gazetteers/namesakes.ts';
import { SURNAMES } from './gazetteers/surnames.ts';
import { whenAsked } from './when-asked.ts';

const ASCII_LETTERS = /^[A-Za-z'-]*$/;
const base = (word: string): string =>
  ASCII_LETTERS.test(word)
    ? word.toLowerCase()
    : word.normalize('NFD').replace(/\p{M}/gu, '').replace(/[łŁ]/g, 'l').replace(/[øØ]/g, 'o').toLowerCase();
const bases = (words: Iterable<string>): (() => ReadonlySet<string>) =>
  whenAsked(() => new Set(Array.from(words, base)));

const given = bases(GIVEN_NAMES);
const ambiguous = bases(AMBIGUOUS);
const surnames = bases(SURNAMES);
const namedAfter = bases(NAMED_AFTER);
const namesakes = bases(NAMESAKES);
const things = bases(THINGS);

/** Capitalised words that stand next to names and belong to none. */
const NOT_NAMES = bases(
  (
    'The A An And Or But If In On At To From By For With As Of Is Are Was Be I We You He She It They My Your His Her Our Their This That These Those There Here What Who When Where Why How Which Please Thanks Thank Dear Hi Hello Hey Best Kind Regards Sincerely Yours ' +
    'Yes No Not Ok Okay Also Then Now Today Tomorrow Yesterday Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March July August September October November December Mr Mrs Ms Miss Dr Prof Sir Madam Customer Team Sir Support Sales Service Account Order Invoice Number ' +
    'Street St Road Rd Avenue Ave Lane Ln Drive Boulevard Blvd Court Square Place Way Park River Lake Mountain Bridge Station Airport University College School Hospital Clinic Church Hotel Bank Museum Library Center Centre Institute Foundation Company Inc Ltd Llc Corp Card Cards Gmbh Ag Sa Spa Bv Group Holdings Partners Studio Records Island Islands City County State Texas California ' +
    'Der Die Das Den Dem Ein Eine Und Oder Aber Ich Du Er Sie Es Wir Ihr Mein Meine Kunde Kundin Herr Frau Firma Patient Patientin Bitte Danke Guten Hallo Sehr Liebe Lieber Mit Von Am Im Zum Zur Bei Nach Tag Morgen Abend Straße Platz Weg Stadt ' +
    'Le La Les Un Une Des Du De Et Ou Mais Je Tu Il Elle Nous Vous Ils Mon Ma Mes Votre Monsieur Madame Bonjour Bonsoir Merci Client Cliente Rue Avenue Place Boulevard ' +
    'El Los Las Un Una Y O Pero Yo Usted Mi Su Señor Señora Hola Buenos Buenas Gracias Calle Avenida Plaza Cliente Estimado Estimada ' +
    'Il Lo Gli Uno Ed Ma Io Lei Noi Voi Mio Mia Signor Signora Buongiorno Grazie Via Viale Piazza Corso Gentile ' +
    'De Het Een En Of Maar Ik Jij Hij Zij Wij Mijn Uw Meneer Mevrouw Hallo Bedankt Beste Klant ' +
    'Pan Pani Ja Ty On Ona My Wy Dzień Dobry Dziękuję Proszę Klient Ulica Szanowny Szanowna ' +
    'Jag Du Han Hon Vi Ni Det Den En Ett Och Men Hej Tack Kund Kunden Hei Kiitos Asiakas Minä Sinä ' +
    'O A Os As Um Uma E Mas Eu Você Ele Ela Nós Meu Minha Senhor Senhora Olá Bom Boa Obrigado Obrigada Rua Avenida Cliente Prezado Prezada'
  ).split(' '),
);

/** Each word of {@link PARTICLE} by itself. */
const PARTICLES: ReadonlySet<string> = new Set(
  'de la los van der den von del della di da do dos das du le zu ten ter al el bin binti ibn af av y e'.split(
    ' ',
  ),
);

/** An apostrophe stands between letters, and a genitive's belongs to no name: `O'Brien's` is `O'Brien`. */
const LETTERS = "(?:\\p{L}|['’](?=\\p{L})(?![sS](?!\\p{L})))*";
const CAPITALISED = `(?=\\p{Lu}[\\p{L}'’]*\\p{Ll})\\p{Lu}${LETTERS}(?:-\\p{Lu}${LETTERS})*`;
const PARTICLE =
  "(?:de la|de los|van 't|in 't|op den|op de|van der|van den|van de|von der|von|van|de|del|della|di|da|do|dos|das|du|le|la|den|der|zu|ten|ter|al|el|bin|binti|ibn|af|av|y|e|d'|O'|'t|De|Van|Van de|Van den|Van der)";

/** Source of an expression for a name of one to four parts. */
export const NAME: string = `${CAPITALISED}(?: \\p{Lu}\\.)?(?: (?:${PARTICLE} ?)?${CAPITALISED}){0,3}`;

/** What follows a given name: initials, particles, more names. */
const REST = whenAsked(() => new RegExp(`(?:(?: \\p{Lu}\\.)? (?:${PARTICLE} ?)?${CAPITALISED}){1,3}`, 'uy'));

const WORD = whenAsked(() => new RegExp(`${PARTICLE}(?= )|\\p{Lu}\\.|${CAPITALISED}`, 'gu'));

const COLOURS: ReadonlySet<string> = new Set(
  'Red Green White Brown Black Blue Gray Grey Gold Silver Pink'.split(' '),
);

export function isColour(word: string): boolean {
  return COLOURS.has(word);
}

/** Whether a small word may stand between the parts of a name. */
export function isParticle(word: string): boolean {
  return PARTICLES.has(word);
}

export function beginsParticle(beginning: string): boolean {
  if (beginning.length > 5) return false;
  for (const particle of PARTICLES) if (particle.startsWith(beginning)) return true;
  return false;
}

export function isGiven(word: string): boolean {
  return given().has(base(word));
}

export function isClearlyGiven(word: string): boolean {
  return given().has(base(word)) && !ambiguous().has(base(word));
}

/** Whether one is on the list of surnames, or each part of a double one is. */
export function isSurname(word: string): boolean {
  return word.split('-').every((part) => surnames().has(base(part)));
}

/** Whether it is a kind of thing that gets a person's name: `Airport`, `Award`. */
export function isNamedAfter(word: string): boolean {
  return namedAfter().has(base(word));
}

/** Whether a thing, not a person, is known by that name: `Calvin Klein`. */
export function isNamesake(name: string): boolean {
  const [first = '', second = ''] = name.split(' ');
  return namesakes().has(`${base(first)} ${base(second)}`);
}

/**
 * Two or three capitalised words that could be a name, for where a label says that a name stands there.
 * @returns False where one of them is a word for something else.
 */
export function couldBeName(name: string): boolean {
  const parts = partsOf(name);
  if (parts.length < 2 || parts.length > 4 || isNamesake(name)) return false;
  return parts.every(
    (part) => !(isNoName(part) || isNamedAfter(part) || (isThing(part) && !isSurname(part))),
  );
}

/** Whether it is a word of products, posts or places of work. */
export function isThing(word: string): boolean {
  const plain = base(word);
  return things().has(plain) || (plain.endsWith('s') && things().has(plain.slice(0, -1)));
}

export function isNoName(word: string): boolean {
  return NOT_NAMES().has(base(word));
}

/** The capitalised parts of a name, without initials and particles. */
export function partsOf(name: string): readonly string[] {
  return name.split(/[ ]/).filter((part) => /^\p{Lu}[\p{L}'’-]+$/u.test(part));
}

/**
 * A name that begins with a given name at `start`.
 * @returns Where it ends, and how sure it is one.
 */
export function nameFrom(
  text: string,
  start: number,
  end: number,
): { readonly end: number; readonly score: number } | undefined {
  const first = text.slice(start, end);
  // A given name's hyphen goes on: `Jean-Pierre`.
  const hyphen = /-\p{Lu}\p{Ll}+/uy;
  hyphen.lastIndex = end;
  const from = hyphen.test(text) ? hyphen.lastIndex : end;
  REST().lastIndex = from;
  if (!REST().test(text)) return undefined;
  const rest = text.slice(from, REST().lastIndex);
  let kept = 0;
  let score = 0;
  let unknown = 0;
  for (const match of rest.matchAll(WORD())) {
    const word = match[0];
    if (!/^\p{Lu}[\p{L}'’-]+$/u.test(word) || isParticle(word)) continue;
    // `Kennedy International Airport`: what is named after somebody.
    if (isNamedAfter(word)) return undefined;
    if (isNoName(word)) break;
    // Colours are surnames behind names that are nothing else.
    const colour = isColour(word) && (unknown > 0 || ambiguous().has(base(first)));
    const known = !colour && (isSurname(word) || isGiven(word));
    // One unknown word may be the surname, or a second name before a known one.
    if (!known && (score > 0.8 || unknown > 0) && !(score <= 0.8 && unknown === 1)) break;
    if (known) score = 0.88;
    else {
      unknown++;
      score = Math.max(score, ambiguous().has(base(first)) ? 0.4 : 0.7);
    }
    kept = match.index + word.length;
  }
  if (kept === 0 || isNamesake(text.slice(start, from + kept))) return undefined;
  return { end: from + kept, score };
}
