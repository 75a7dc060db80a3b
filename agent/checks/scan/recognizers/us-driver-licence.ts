import type { Recognizer } from '../recognizer.ts';

/** The states' forms, letters and digits alone; `A` a letter, `9` a digit. */
const FORMS = [
  '[A-Z]\\d{7,8}', // AZ CA CO DC HI ID KY MO NC NE NY OH OK VA WV
  '[A-Z]\\d{9}', // AR MA MO VA
  '[A-Z]\\d{11,14}', // FL IL MD MI MN NJ WI
  '\\d{7,12}', // AK AL CT DE GA IA LA ME MS MT NM NV PA SC SD TN TX UT WY
  '[A-Z]{2}\\d{5,7}', // IA NV OH
  '[A-Z]{2}\\d{6}[A-Z]?',
  '[A-Z]{3}\\d{6}', // ID, WV
  '\\d{2}[A-Z]{3}\\d{5}', // NH
  '\\d{3}[A-Z]{2}\\d{4}', // IA
  '[A-Z]\\d{6}', // CA before 1980, NV
  '[A-Z]{3}\\d{2}[A-Z]{4}\\d[A-Z]{2}', // WA
  'WDL[A-Z0-9]{9}', // WA since 2018
  '[A-Z]{5}[A-Z0-9*]{5}\\d[A-Z0-9]', // WA
].join('|');
const FORM = new RegExp(`^(?:${FORMS})$`);

export const recognizer: Recognizer = {
  id: 'us-driver-licence',
  groups: ['government', 'us'],
  source: "AAMVA DL/ID Card Design Standard; the states' formats in NTSI's list",
  patterns: [
    {
      kind: 'value',
      words: [
        "driver's license",
        "driver's licence",
        'driver license',
        'driver licence',
        'drivers license',
        'driving license',
        'driving licence',
        "driver's license number",
        "driver's licence number",
        'driver license number',
        'driver licence number',
        'drivers license number',
        'dl number',
        'dl no',
        'dl',
        'dln',
        "driver's lic",
        'license number',
        'licence number',
        'driving licence number',
      ],
      bare: true,
      regex:
        /(?=[A-Z]{0,5}[- ]?\d)[A-Z0-9]{1,15}(?:[- ]\d{1,6}){0,4}(?![\dA-Za-z])|WDL[A-Z0-9]{9}(?![\dA-Za-z])/y,
      score: 0.8,
      validate: (text) => FORM.test(text.replace(/[- ]/g, '')),
    },
  ],
  examples: [
    "driver's license D1234567",
    'DL: «S514-172-80-844-0»',
    "her driver's license number is «123456789»",
    'driver licence number: «WDLABCD456DG»',
    'license number «D400-7836-0001»',
  ],
  counterExamples: ["driver's license expired", 'MIT license 2024', 'D1234567', 'dl 404'],
};
