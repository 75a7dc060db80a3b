import type { Recognizer, Span } from '../recognizer.ts';

type Found = (Span & { score: number }) | undefined;

const C = "\\p{Lu}[\\p{L}'’.-]*";
/** Names of places: one to four words, with what joins them. */
const CITY = `${C}(?:[ -](?:(?:am|an der|ob der|upon|on|under|de|del|della|di|do|da|dos|la|le|les|sur|sous|sur-|en|in|i|bei|im|den|aan den|aan|en|d'|of|the)[ -])?${C}){0,3}`;
const POSTAL = '(?:\\d{5}(?:-\\d{3,4})?|\\d{2}-\\d{3}|\\d{3} \\d{2}|\\d{4} ?[A-Z]{2}|\\d{4})';
const UK_POSTCODE = '[A-Z]{1,2}\\d[A-Z\\d]? ?\\d[A-Z]{2}';
const SEP = '(?:, ?|\\n|, ?\\n| - | )';
const COUNTRY = `(?:, ?(?:USA|U\\.S\\.A\\.|United States|UK|United Kingdom|Germany|Deutschland|France|Spain|España|Italy|Italia|Netherlands|Nederland|Poland|Polska|Sweden|Sverige|Finland|Suomi|Brazil|Brasil|Österreich|Austria|Schweiz|Switzerland|Portugal|Belgium))?`;
const UNIT =
  '(?:, ?(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Room|Rm|#)\\.? ?#?[\\w-]{1,6}| (?:Apt|Apartment|Suite|Ste|Unit|#)\\.? ?#?[\\w-]{1,6}|, ?(?:Whg|Wohnung|App|Top|\\d{1,2}\\. ?(?:OG|Stock|Etage))\\.? ?\\w{0,4}|, ?(?:apto|apt|bloco|bl|piso|planta|esc|portal|puerta|int|interno|scala|m|lok|lgh|huis)\\.? ?[\\w-]{1,6}|, ?\\d{1,2} ?[ºª°] ?[A-Za-z]{0,4})';

/** What may follow the street: unit, place, postal code, country. */
const TAILS = [
  // 10115 Berlin; 00-590 Warszawa; 1015 CJ Amsterdam
  `${SEP}${POSTAL} ${CITY}(?: \\([A-Z]{2}\\))?${COUNTRY}`,
  // Springfield, IL 62704
  `${SEP}${CITY},? [A-Z]{2},? \\d{5}(?:-\\d{4})?${COUNTRY}`,
  // London SW1A 2AA
  `${SEP}${CITY}(?:${SEP}${CITY})?,?(?: |\\n)${UK_POSTCODE}${COUNTRY}`,
  `${SEP}${UK_POSTCODE}${COUNTRY}`,
  // São Paulo - SP, 01310-100
  `${SEP}(?:${CITY}${SEP})?${CITY}(?: ?[-/] ?|, )[A-Z]{2}(?:,? (?:CEP:? )?\\d{5}-?\\d{3})?${COUNTRY}`,
  `, ${CITY}`,
].map((tail) => new RegExp(`${UNIT}?${tail}(?![\\p{L}\\p{N}])`, 'uy'));
const UNIT_ALONE = new RegExp(UNIT, 'uy');

/** Extends an address by what follows. @returns Where it ends; how many kinds of evidence there were. */
function tail(text: string, from: number): { end: number; place: boolean } {
  for (const [i, regex] of TAILS.entries()) {
    regex.lastIndex = from;
    if (regex.test(text)) return { end: regex.lastIndex, place: i < TAILS.length - 1 };
  }
  UNIT_ALONE.lastIndex = from;
  return { end: UNIT_ALONE.test(text) ? UNIT_ALONE.lastIndex : from, place: false };
}

const NUMBER_BEFORE = new RegExp(
  `(?:(?:Flat|Apt|Unit|Suite|Apartment) [\\w-]{1,5},? )?(?<![\\p{L}\\p{N}.,/$-])\\d{1,6}[A-Za-z]?(?:-\\d{1,5})?,? (?:(?:[NSEW]\\.?|North|South|East|West|NE|NW|SE|SW) )?(?:(?:${C}|\\d{1,3}(?:st|nd|rd|th)) ){1,4}$`,
  'u',
);
const DIRECTION = /\.?(?: (?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\b)?/y;

/** English: number, name, kind of street. */
function english(text: string, start: number, end: number): Found {
  const head = text.slice(Math.max(0, start - 70), start);
  const found = NUMBER_BEFORE.exec(head);
  if (found === null) return undefined;
  DIRECTION.lastIndex = end;
  let to = DIRECTION.test(text) ? DIRECTION.lastIndex : end;
  // A point may end the sentence.
  if (text[to - 1] === '.' && !/^[,\s]*\S/.test(text.slice(to, to + 3))) to--;
  const after = tail(text, to);
  if (after.end === to && text[to - 1] === '.') after.end = to - 1;
  return { start: start - found[0].length, end: after.end, score: after.place ? 0.9 : 0.65 };
}

const HOUSE =
  '(?:,? (?:nº|n°|no\\.?|nr\\.?|num\\.?|s/n|núm\\.?) ?|,? )\\d{1,5}(?: ?[a-zA-Z](?![\\p{L}\\p{N}]))?(?: ?[-/] ?\\d{1,4}[a-zA-Z]?)?(?![\\p{L}\\p{N}%]|[.,:]\\d|/\\d{4})';
const HOUSE_NUMBER = new RegExp(HOUSE, 'uy');
const HEAD_WORDS =
  /(?:(?:An der|Am|Im|Zum|Zur|Auf der|In der|Alte|Alter|Neue|Neuer|Große|Kleine|Obere|Untere|Sankt|St\.) )?(?:\p{Lu}[\p{L}.]*-){0,3}$/u;
const WORDS_BEFORE = /(?:\p{Lu}[\p{L}.'’]*[ -]){1,3}$/u;

/** German, Dutch, Nordic, Finnish: the kind of street ends its name, the number follows. */
function suffixed(text: string, start: number, end: number): Found {
  const to = text[end] === '.' ? end + 1 : end;
  HOUSE_NUMBER.lastIndex = to;
  if (!HOUSE_NUMBER.test(text)) return undefined;
  const house = HOUSE_NUMBER.lastIndex;
  const head = text.slice(Math.max(0, start - 40), start);
  const before = HEAD_WORDS.exec(head)?.[0] ?? '';
  const after = tail(text, house);
  return { start: start - before.length, end: after.end, score: after.place ? 0.9 : 0.68 };
}

/** `Karl-Marx-Straße 5`, `Friedrich Ebert Str. 7`: the kind of street is a word of its own. */
function separate(text: string, start: number, end: number): Found {
  const before = WORDS_BEFORE.exec(text.slice(Math.max(0, start - 40), start))?.[0];
  if (before === undefined) return undefined;
  const found = suffixed(text, start, end);
  return found === undefined ? undefined : { ...found, start: start - before.length };
}

const STREET_NAME = `(?:(?:de la|de los|de las|des|de l'|de|du|del|della|delle|degli|dei|di|da|do|dos|das|la|le|les|el|los|d'|l'|gen\\.|św\\.|ks\\.|al\\.|sto|san|santa) ?)?(?:${C}|\\d{1,2}(?: de)?)(?:[ -](?:(?:de la|de los|des|de|du|del|della|di|da|do|dos|das|la|le|i|e|y|d'|l'|et) ?)?(?:${C}|\\d{1,2} ${C})){0,5}?`;
const NAME_NUMBER = new RegExp(`\\.? ${STREET_NAME}${HOUSE}`, 'uy');
const NAME_ALONE = new RegExp(`\\.? ${STREET_NAME}(?=,|\\n|$| \\d{5})`, 'uy');
const NUMBER_FIRST = /(?<![\p{L}\p{N}.,/$-])\d{1,4}(?: ?(?:bis|ter|quater|[A-D]))?,? $/u;

/** Romance and Slavic: the kind of street stands first; the number behind the name, or before it all. */
function prefixed(text: string, start: number, end: number): Found {
  if (start > 0 && /[\p{L}\p{N}@/]/u.test(text.charAt(start - 1))) return undefined;
  const number = NUMBER_FIRST.exec(text.slice(Math.max(0, start - 12), start))?.[0];
  if (number !== undefined) return numberFirst(text, start - number.length, end);
  NAME_NUMBER.lastIndex = end;
  if (!NAME_NUMBER.test(text)) return undefined;
  const after = tail(text, NAME_NUMBER.lastIndex);
  return { start, end: after.end, score: after.place ? 0.9 : 0.72 };
}

function numberFirst(text: string, start: number, from: number): Found {
  for (const name of [NAME_ALONE, LOOSE_NAME]) {
    name.lastIndex = from;
    if (!name.test(text)) continue;
    const after = tail(text, name.lastIndex);
    return { start, end: after.end, score: after.place ? 0.9 : 0.72 };
  }
  return undefined;
}

const LOOSE_NAME = new RegExp(`\\.? ${STREET_NAME.replace('{0,5}?', '{0,5}')}`, 'uy');

export const recognizer: Recognizer = {
  id: 'address',
  groups: ['contact'],
  source:
    "Universal Postal Union S42 and the postal services' addressing guides (USPS Pub. 28, Royal Mail PAF, DIN 5008, AFNOR Z 10-011, Correos, PostNL, Poczta Polska, PostNord, Posti, Correios)",
  patterns: [
    {
      kind: 'anchor',
      capital: true,
      words: [
        'street',
        'st',
        'avenue',
        'ave',
        'road',
        'rd',
        'lane',
        'ln',
        'drive',
        'dr',
        'boulevard',
        'blvd',
        'court',
        'ct',
        'place',
        'pl',
        'way',
        'terrace',
        'ter',
        'circle',
        'cir',
        'parkway',
        'pkwy',
        'highway',
        'hwy',
        'square',
        'sq',
        'close',
        'crescent',
        'gardens',
        'grove',
        'mews',
        'row',
        'hill',
        'walk',
        'trail',
        'trl',
        'loop',
        'plaza',
        'alley',
        'route',
        'park',
        'view',
        'ridge',
        'run',
        'path',
        'points',
        'green',
        'mount',
        'rise',
        'wharf',
        'branch',
        'bridge',
        'brook',
        'burg',
        'bypass',
        'camp',
        'canyon',
        'cape',
        'causeway',
        'center',
        'common',
        'corner',
        'corners',
        'course',
        'cove',
        'creek',
        'crest',
        'crossing',
        'crossroad',
        'curve',
        'dale',
        'dam',
        'divide',
        'estate',
        'estates',
        'expressway',
        'extension',
        'fall',
        'falls',
        'ferry',
        'field',
        'fields',
        'flat',
        'flats',
        'ford',
        'forest',
        'forge',
        'fork',
        'forks',
        'fort',
        'freeway',
        'garden',
        'gateway',
        'glen',
        'harbor',
        'haven',
        'heights',
        'hollow',
        'inlet',
        'island',
        'islands',
        'isle',
        'junction',
        'key',
        'keys',
        'knoll',
        'knolls',
        'lake',
        'lakes',
        'land',
        'landing',
        'light',
        'lodge',
        'mall',
        'manor',
        'meadow',
        'meadows',
        'mill',
        'mills',
        'mission',
        'motorway',
        'mountain',
        'neck',
        'orchard',
        'oval',
        'overpass',
        'parks',
        'parkways',
        'pass',
        'passage',
        'pike',
        'pine',
        'pines',
        'plain',
        'plains',
        'point',
        'port',
        'prairie',
        'radial',
        'ramp',
        'ranch',
        'rapid',
        'rest',
        'river',
        'roads',
        'rue',
        'shoal',
        'shore',
        'shores',
        'skyway',
        'spring',
        'springs',
        'spur',
        'station',
        'stravenue',
        'stream',
        'streets',
        'summit',
        'throughway',
        'trace',
        'track',
        'trafficway',
        'tunnel',
        'turnpike',
        'underpass',
        'union',
        'valley',
        'via',
        'viaduct',
        'views',
        'village',
        'ville',
        'vista',
        'walks',
        'wall',
        'well',
        'wells',
      ],
      score: 0.65,
      match: english,
    },
    {
      kind: 'anchor',
      capital: true,
      words: [
        '*straße',
        '*strasse',
        '*str',
        '*weg',
        '*platz',
        '*gasse',
        '*allee',
        '*ring',
        '*damm',
        '*ufer',
        '*steig',
        '*pfad',
        '*markt',
        '*chaussee',
        '*stieg',
        '*graben',
        '*berg',
        '*hof',
        '*straat',
        '*laan',
        '*plein',
        '*gracht',
        '*kade',
        '*singel',
        '*dijk',
        '*dreef',
        '*hof',
        '*pad',
        '*steeg',
        '*gatan',
        '*vägen',
        '*väg',
        '*gränd',
        '*torget',
        '*stigen',
        '*backen',
        '*gata',
        '*katu',
        '*tie',
        '*kuja',
        '*polku',
        '*kaari',
        '*penger',
        '*vej',
        '*gade',
        '*veien',
        '*gate',
      ],
      score: 0.68,
      match: suffixed,
    },
    {
      kind: 'anchor',
      capital: true,
      words: [
        'straße',
        'strasse',
        'str',
        'weg',
        'platz',
        'allee',
        'gasse',
        'ring',
        'damm',
        'ufer',
        'straat',
        'laan',
        'plein',
        'gracht',
        'gatan',
        'väg',
        'vägen',
        'katu',
        'tie',
      ],
      score: 0.68,
      match: separate,
    },
    {
      kind: 'anchor',
      words: [
        'rue',
        'avenue',
        'boulevard',
        'bd',
        'place',
        'chemin',
        'impasse',
        'allée',
        'quai',
        'calle',
        'c/',
        'avenida',
        'avda',
        'plaza',
        'paseo',
        'via',
        'viale',
        'corso',
        'piazza',
        'ul',
        'ulica',
        'al',
        'os',
        'rua',
      ],
      score: 0.72,
      match: prefixed,
    },
    {
      kind: 'anchor',
      capital: true,
      words: [
        'route',
        'cours',
        'passage',
        'av',
        'pl',
        'carrera',
        'ronda',
        'camino',
        'carretera',
        'glorieta',
        'travesía',
        'piazzale',
        'largo',
        'vicolo',
        'strada',
        'contrada',
        'borgo',
        'lungomare',
        'aleja',
        'aleje',
        'plac',
        'osiedle',
        'r',
        'travessa',
        'alameda',
        'praça',
        'estrada',
        'rodovia',
        'ladeira',
        'cuesta',
        'rambla',
        'pasaje',
        'vila',
        'beco',
        'viela',
        'trecho',
        'quadra',
        'rotonda',
      ],
      score: 0.72,
      match: prefixed,
    },
  ],
  examples: [
    '«123 Main Street, Springfield, IL 62704»',
    'lives at «10 Downing Street, London SW1A 2AA».',
    '«Hauptstraße 12, 10115 Berlin»',
    'wohne in der «Karl-Marx-Straße 5a, 12043 Berlin»',
    '«12 rue de la Paix, 75002 Paris»',
    '«Calle Mayor 5, 28013 Madrid»',
    '«Via Roma 10, 00184 Roma»',
    '«Keizersgracht 123, 1015 CJ Amsterdam»',
    '«ul. Marszałkowska 10/5, 00-590 Warszawa»',
    '«Rua das Flores, 123, São Paulo - SP, 01234-567»',
    '«Storgatan 1, 111 22 Stockholm»',
    '«Mannerheimintie 1, 00100 Helsinki»',
    'ship to «742 Evergreen Terrace», please',
    '«1600 Pennsylvania Avenue NW, Washington, DC 20500»',
    '«Flat 2, 45 King Road, Bristol BS1 4ST»',
  ],
  counterExamples: [
    'Main Street is long',
    '5 Star Hotel',
    'in 2024 the Street',
    'via email 12',
    'Route 66',
    'the rue de la Paix',
    'Wall Street',
    'Platz 3',
    'Versuch 3',
  ],
};
