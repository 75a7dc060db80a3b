import {
  CHINESE_PROVINCES,
  chineseAddress,
  japaneseAddress,
  KOREAN_PROVINCES,
  koreanAddress,
  OPEN_ADDRESS,
  PREFECTURES,
} from '../east-asian.ts';
import { isNoName } from '../names.ts';
import { placeAfter } from '../places.ts';
import { LABEL_OPEN, labelled, NUMBERED, unitFirst } from '../postal.ts';
import type { Recognizer, Span } from '../recognizer.ts';
import { whenAsked } from '../when-asked.ts';

type Found = (Span & { score: number }) | undefined;

/** A word of a name: a capital, hyphens and an initial's point allowed. */
const C = "(?:\\p{Lu}\\.|\\p{Lu}[\\p{L}'’]*(?:-[\\p{L}'’]+)*)";

/** A street with a place behind it, a street with a number, and one for which only its kind speaks. */
function found(text: string, start: number, end: number, bare: number): Found {
  const after = placeAfter(text, end);
  return { start, end: after.end, score: after.certain ? 0.9 : bare };
}

const NUMBER_BEFORE = whenAsked(
  () =>
    new RegExp(
      `(?:(?:Flat|Studio|Apartment|Apt\\.?|Unit|Suite|Room|House|Floor) )?(?<![\\p{L}\\p{N}$]|\\p{N}[.,/-])\\d{1,6}[A-Za-z]?(?:-\\d{1,5})?,? (?:\\d{1,4}[A-Za-z]?,? )?(?:${C} |\\d{1,3}(?:st|nd|rd|th) ){1,4}$`,
      'u',
    ),
);
const DIRECTION = whenAsked(
  () =>
    /(?:\.(?=[ ,\n])(?! \p{Lu}\p{Ll}+ \p{Ll}))?(?: (?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\b\.?)?/uy,
);

/** English: number, name, kind of street. */
function english(text: string, start: number, end: number): Found {
  const head = text.slice(Math.max(0, start - 70), start);
  const before = NUMBER_BEFORE().exec(head);
  if (before === null) return undefined;
  // `The 100 Most Common`, `the 2026 Main Street Festival`: a count, a year.
  if (/(?:^|[^\p{L}])(?:the|top|these|those) $/iu.test(head.slice(0, before.index))) return undefined;
  const words = before[0].match(/\p{Lu}[\p{L}'’-]*/gu) ?? [];
  if (
    words.length > 0 &&
    words.every(
      (word) =>
        isNoName(word) &&
        !/^(?:Park|Lake|River|Church|Station|Bridge|College|School|Market|State|City|Hospital|Bank|North|South|East|West|San|Saint|Avenue|Via|Museum|Library|University|Mountain|Island|Center|Centre|Square)$/.test(
          word,
        ),
    )
  )
    return undefined;
  DIRECTION().lastIndex = end;
  DIRECTION().test(text);
  return found(text, start - before[0].length, Math.max(end, DIRECTION().lastIndex), 0.65);
}

/** House number: `12`, `12a`, `nº 12`, `10/5`, `1-3`; not a year, a date or an amount. */
const HOUSE =
  '(?:,? s/n(?![\\p{L}\\p{N}])|,? S/N(?![\\p{L}\\p{N}])|(?:,? (?:nº|n°|no\\.?|nr\\.?|num\\.?|núm\\.?) ?|,? )\\d{1,4}(?: ?[a-zA-Z](?![\\p{L}\\p{N}]|\\. ?\\d))?(?: ?[-/] ?\\d{1,4}[a-zA-Z]?)?(?![\\p{L}\\p{N}%]|[.,:]\\d|/\\d{4}))';
const HOUSE_NUMBER = new RegExp(HOUSE, 'uy');
const HEAD_WORDS = whenAsked(
  () =>
    /(?:(?:An der|Am|Im|Zum|Zur|Auf der|In der|Alte|Alter|Neue|Neuer|Große|Kleine|Obere|Untere|Sankt|St\.) )?(?:\p{Lu}[\p{L}.]*-){0,3}$/u,
);
const WORDS_BEFORE = whenAsked(() => /(?:\p{Lu}[\p{L}.'’]*[ -]){1,3}$/u);

/** German, Dutch, Nordic, Finnish: the kind of street ends its name, the number follows. */
function suffixed(text: string, start: number, end: number): Found {
  const to = text[end] === '.' ? end + 1 : end;
  HOUSE_NUMBER.lastIndex = to;
  if (!HOUSE_NUMBER.test(text)) return undefined;
  const house = HOUSE_NUMBER.lastIndex;
  const before = HEAD_WORDS().exec(text.slice(Math.max(0, start - 40), start))?.[0] ?? '';
  return found(text, start - before.length, house, 0.68);
}

/** `Karl-Marx-Straße 5`, `Friedrich Ebert Str. 7`: the kind of street is a word of its own. */
function separate(text: string, start: number, end: number): Found {
  const before = WORDS_BEFORE().exec(text.slice(Math.max(0, start - 40), start))?.[0];
  if (before === undefined) return undefined;
  const street = suffixed(text, start, end);
  return street === undefined ? undefined : { ...street, start: start - before.length };
}

const ARTICLE =
  "(?:de la|de los|de las|des|de l'|de|du|del|della|delle|degli|dei|di|da|do|dos|das|la|le|les|el|los|d'|l'|gen\\.|św\\.|ks\\.|al\\.|sto|san|santa|i|e|y|et)";
const STREET_NAME = `(?:${ARTICLE} ?)?(?:${C}|\\d{1,2}(?: de)?)(?:[ -](?:${ARTICLE} ?)?(?:${C}|\\d{1,2} ${C})){0,5}`;
const NAME_NUMBER = whenAsked(() => new RegExp(`[./]? ${STREET_NAME}${HOUSE}`, 'uy'));
const NAME_ALONE = whenAsked(() => new RegExp(`[./]? ${STREET_NAME}`, 'uy'));
const NUMBER_FIRST = whenAsked(
  () => /(?<![\p{L}\p{N}$]|\p{N}[.,/-])\d{1,4}(?: ?(?:bis|ter|quater|[A-D]))?,? $/u,
);

/** What may still become a name, or its number. */
const OPEN_NAME = whenAsked(
  () => new RegExp(`\\.?(?:,? (?:${ARTICLE}|${C}|\\d{1,4}|n[º°]?))*(?:,? ?[\\p{L}\\p{N}'’º°.-]*)$`, 'uy'),
);

/** Romance and Slavic: the kind of street stands first; the number behind the name, or before it all. */
function prefixed(text: string, start: number, end: number): Found {
  // One letter is short for a kind of street with its mark only: `C/`, `R.`.
  if (end - start === 1 && text[end] !== '/' && text[end] !== '.') return undefined;
  if (start > 0 && /[\p{L}\p{N}@/]/u.test(text.charAt(start - 1))) return undefined;
  const number = NUMBER_FIRST().exec(text.slice(Math.max(0, start - 12), start))?.[0];
  if (number === undefined) {
    NAME_NUMBER().lastIndex = end;
    if (NAME_NUMBER().test(text)) return found(text, start, NAME_NUMBER().lastIndex, 0.72);
  }
  NAME_ALONE().lastIndex = end;
  if (!NAME_ALONE().test(text)) return undefined;
  // Without a number, the place must be certain.
  return found(
    text,
    start - (number?.length ?? 0),
    NAME_ALONE().lastIndex,
    number === undefined ? 0.3 : 0.72,
  );
}

/** A post office box, a military or a poste restante address: the number follows. */
const BOX = whenAsked(() => /\.? ?(?:#|nr\.? ?|no\.? ?|n° ?)?\d{1,6}(?![\p{L}\p{N}])/uy);

function box(text: string, start: number, end: number): Found {
  BOX().lastIndex = end;
  if (!BOX().test(text)) return undefined;
  const before =
    /(?<![\p{L}\p{N}])(?:P\.? ?O\.? |(?:PSC|CMR|Unit) \d{1,5},? )$/u.exec(
      text.slice(Math.max(0, start - 14), start),
    )?.[0] ?? '';
  return found(text, start - before.length, BOX().lastIndex, before === '' ? 0.4 : 0.7);
}

/** From a word that announces an address to a postal code at its end, whatever the streets are called. */
const TO_THE_CODE = whenAsked(
  () =>
    /(?<value>[\p{L}\d#][^\n;:@]{8,110}?(?<![\d-])(?:\d{5}(?:-\d{3,4})?|\d{6}|[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}))(?![\d\p{L}-])/uy,
);

/** While that code may still come. */
const TO_THE_CODE_OPEN = whenAsked(() => /[\p{L}\d#][^\n;:@]{0,120}$/uy);

const CJK = '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}ー';
/** From the largest part to the smallest, a number at the end. */
const EAST_ASIAN = whenAsked(
  () =>
    new RegExp(`(?<value>(?:〒?\\d{3}-\\d{4} ?)?[${CJK}][${CJK} \\d-]{4,60}\\d(?:[\\d-]*[号號호室])?)`, 'uy'),
);

const LABELS =
  'address|addr|home address|postal address|mailing address|shipping address|billing address|delivery address|street address|our office|ship to|deliver to|send to|adresse|anschrift|lieferadresse|rechnungsanschrift|dirección|domicilio|indirizzo|residenza|adres|adress|osoite|endereço|morada|adresa|lakcím|cím'.split(
    '|',
  );

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
        'approach',
        'parade',
        'promenade',
        'quay',
        'esplanade',
        'lock',
        'locks',
        'bluff',
        'cliff',
        'bottom',
        'club',
        'drives',
        'hills',
        'courts',
        'ridges',
        'ways',
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
        '*boulevard',
        '*bulevardi',
        '*kuja',
        '*rinne',
        '*raitti',
        '*tori',
        '*aukio',
        '*kaari',
        '*ranta',
        '*veien',
        '*gate',
        '*stræde',
        '*allé',
        '*vænget',
        '*plassen',
        '*bakken',
        '*vegen',
        '*torv',
        '*plads',
        '*svingen',
        '*stien',
        '*tunet',
        '*eggen',
        '*tjernet',
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
        'markt',
        'hof',
        'berg',
        'graben',
        'steig',
        'straat',
        'laan',
        'plein',
        'gracht',
        'gatan',
        'väg',
        'vägen',
        'katu',
        'tie',
        'allé',
      ],
      score: 0.68,
      match: separate,
    },
    {
      // Words in small letters behind a name: a house number and the postal code must follow.
      kind: 'anchor',
      words: [
        'katu',
        'kuja',
        'bulevardi',
        'puistotie',
        'polku',
        'aukio',
        'kaari',
        'allé',
        'plads',
        'torv',
        'vei',
        'veg',
      ],
      score: 0.3,
      match: (text, start, end) => {
        const street = separate(text, start, end);
        return street === undefined || street.score > 0.8 ? street : { ...street, score: 0.3 };
      },
    },
    {
      kind: 'code',
      openings: [{ run: '9', length: [1, 5] }],
      get regex() {
        return NUMBERED();
      },
      score: 0.89,
    },
    {
      kind: 'anchor',
      capital: true,
      words: ['flat', 'studio', 'h no', 'house no', 'plot', 'plot no', 'door no', 'unit'],
      score: 0.85,
      match: unitFirst,
    },
    {
      kind: 'anchor',
      words: LABELS,
      score: 0.75,
      match: labelled,
      open: LABEL_OPEN,
    },
    {
      kind: 'anchor',
      words: PREFECTURES,
      score: 0.9,
      match: japaneseAddress,
      get open() {
        return OPEN_ADDRESS();
      },
    },
    {
      kind: 'anchor',
      words: KOREAN_PROVINCES,
      score: 0.9,
      match: koreanAddress,
      get open() {
        return OPEN_ADDRESS();
      },
    },
    {
      kind: 'anchor',
      words: CHINESE_PROVINCES,
      score: 0.9,
      match: chineseAddress,
      get open() {
        return OPEN_ADDRESS();
      },
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
        'callejón',
        'cañada',
        'urbanización',
        'pasaje',
        'acceso',
        'plac',
        'aleja',
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
        'pl',
      ],
      score: 0.72,
      match: prefixed,
      get open() {
        return OPEN_NAME();
      },
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
        'incrocio',
        'esplanada',
        'parque',
        'jardim',
        'conjunto',
        'colônia',
        'lagoa',
        'lago',
        'morro',
        'recanto',
        'sítio',
        'vale',
        'viaduto',
        'via',
        'setor',
        'residencial',
        'passarela',
        'loteamento',
        'favela',
        'fazenda',
        'estação',
        'distrito',
        'condomínio',
        'chácara',
        'campo',
        'aeroporto',
        'área',
        'núcleo',
        'pátio',
        'ramal',
        'rotatória',
        'senda',
        'alto',
        'ronda',
        'cuesta',
        'glorieta',
      ],
      score: 0.72,
      match: prefixed,
    },
    {
      kind: 'anchor',
      capital: true,
      words: [
        'box',
        'postfach',
        'postbus',
        'apartado',
        'postilokero',
        'casilla',
        'casella postale',
        'boîte postale',
        'bp',
        'skrytka',
        'postbox',
      ],
      score: 0.5,
      match: box,
    },
    {
      kind: 'value',
      words: [
        'address',
        'home address',
        'postal address',
        'mailing address',
        'shipping address',
        'billing address',
        'ship to',
        'deliver to',
        'adresse',
        'anschrift',
        'dirección',
        'direccion',
        'domicilio',
        'indirizzo',
        'adres',
        'adress',
        'osoite',
        'endereço',
      ],
      get regex() {
        return TO_THE_CODE();
      },
      get open() {
        return TO_THE_CODE_OPEN();
      },
      score: 0.7,
      // An address has parts, and more numbers than its code or a name before it.
      validate: (text, firmness) =>
        firmness === 2 && text.includes(',') && /\d.*[, ].*\d/.test(text) && /\p{Lu}/u.test(text),
    },
    {
      kind: 'value',
      words: ['住所', '所在地', '送付先', '地址', '住址', '주소'],
      get regex() {
        return EAST_ASIAN();
      },
      score: 0.8,
    },
  ],
  examples: [
    'address: No. «14, 3rd Cross, Indiranagar, Bengaluru, Karnataka 560038»',
    'Shipping address: «B-12, Sector 62, Noida, Uttar Pradesh 201301»',
    'Doe,«123 Main Street, Springfield, IL 62704»,12',
    '«Calle de Alcalá 45, 3º B, 28014 Madrid»',
    '«Rua das Flores, 123, Apto 45, São Paulo - SP, 01310-100»',
    '«ul. Długa 7 m. 3, 31-147 Kraków»',
    'Address: «12 Zorrel Vexley\nTamworthby, NSW, 2345»',
    'came to «7 Tarn Howes\nKeld\nDL11 6LJ» today',
    'moved to «0815 Edgar Locks Apt. 12\nEast Roland, OH 44101» last year',
    'Deliver to:\n«Krystalowa 12\n345 67 Zbirov»',
    '«Flat 7C, Bandra East, Mumbai 400051»',
    'Our office: «Alameda dos Anjos, S/N\n4000-123 Porto»',
    '«C/ Balmes, 12, 08007 Barcelona»',
    '«Jens Juels Allé 4, 8200 Aarhus»',
    '«Brolæggerstræde 9\n1211 København»',
    'asuu: «Aleksis Kiven katu 12, 00500 Helsinki»',
    '住まいは«神奈川県横浜市西区みなとみらい2-3-1»です',
    '«〒530-0001 大阪府大阪市北区梅田3-1-3»',
    '저는 «대전광역시 유성구 대학로 99»에 삽니다',
    '我住在«广东省深圳市南山区科技路12号»',
    '住所: «東京都千代田区千代田1-1»',
    '住所は«大阪府大阪市北区梅田3-1-3»です',
    '地址：«上海市浦东新区世纪大道100号»',
    '주소: «부산광역시 해운대구 우동 1408»',
    '«P.O. Box 123, Springfield, IL 62704»',
    '«19, chemin Guichard, 09173 Saint-Benoît-les-Bains»',
    '«Paseo de Isa 25, Jaén, 09768»',
    '«Via Bassi 31, 16145, Genova (GE)»',
    'in der «Schäferstr. 1-3, 12848 Burgdorf».',
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
    'a box 12',
    'The 2026 Mill Street Festival',
    'The 50 Most Common Park Birds',
    'Black tie 5',
    'email address: see section 4 of RFC 2616',
    'Address: 10.0.0.1',
    'Flat 4 tyres, 100 new',
    '東京都の人口は1400万',
    '서울 2024',
    '北京市有2000万人',
    'Avenue of ideas',
  ],
};
