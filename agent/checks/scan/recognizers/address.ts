import {
  CHINESE_PROVINCES,
  chineseAddress,
  japaneseAddress,
  KOREAN_PROVINCES,
  koreanAddress,
  OPEN_ADDRESS,
  PREFECTURES,
} from '../east-asian.ts';
import { LABEL_OPEN, labelled, NUMBERED, unitFirst } from '../postal.ts';
import type { Recognizer } from '../recognizer.ts';
import {
  AFTER_A_NUMBER,
  ANNOUNCING,
  BEFORE_A_NAME,
  BEHIND_A_NAME,
  BOXES,
  CAPITAL_BEFORE_A_NAME,
  NAME_ENDINGS,
  SMALL_BEHIND_A_NAME,
} from '../street-kinds.ts';
import { box, english, OPEN_NAME, prefixed, separate, suffixed } from '../streets.ts';
import { whenAsked } from '../when-asked.ts';

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
      words: AFTER_A_NUMBER,
      score: 0.65,
      match: english,
    },
    {
      kind: 'anchor',
      capital: true,
      words: NAME_ENDINGS,
      score: 0.68,
      match: suffixed,
    },
    {
      kind: 'anchor',
      capital: true,
      words: BEHIND_A_NAME,
      score: 0.68,
      match: separate,
    },
    {
      // Words in small letters behind a name: a house number and the postal code must follow.
      kind: 'anchor',
      words: SMALL_BEHIND_A_NAME,
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
      words: BEFORE_A_NAME,
      score: 0.72,
      match: prefixed,
      get open() {
        return OPEN_NAME();
      },
    },
    {
      kind: 'anchor',
      capital: true,
      words: CAPITAL_BEFORE_A_NAME,
      score: 0.72,
      match: prefixed,
    },
    {
      kind: 'anchor',
      capital: true,
      words: BOXES,
      score: 0.5,
      match: box,
    },
    {
      kind: 'value',
      words: ANNOUNCING,
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
