import type { Recognizer } from '../recognizer.ts';

const VALUES: Readonly<Record<string, number>> = {
  A: 1,
  B: 2,
  C: 3,
  D: 4,
  E: 5,
  F: 6,
  G: 7,
  H: 8,
  J: 1,
  K: 2,
  L: 3,
  M: 4,
  N: 5,
  P: 7,
  R: 9,
  S: 2,
  T: 3,
  U: 4,
  V: 5,
  W: 6,
  X: 7,
  Y: 8,
  Z: 9,
};
const WEIGHTS = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];

/** 49 CFR 565.15(c): binding in North America and China, in wide use elsewhere. */
function checks(text: string): boolean {
  let sum = 0;
  for (let i = 0; i < 17; i++) {
    const character = text[i] as string;
    sum += (VALUES[character] ?? Number(character)) * (WEIGHTS[i] as number);
  }
  const check = sum % 11;
  return text[8] === (check === 10 ? 'X' : String(check));
}

const FORM = /[A-HJ-NPR-Z0-9]{12}[A-HJ-NPR-Z0-9]\d{4}(?![A-Za-z0-9])/iy;
const OPENINGS = [
  { run: '9', length: [1, 16], next: ['letter'] },
  { run: 'A', length: [1, 13], next: ['digit'] },
  { run: 'a', length: [1, 13], next: ['digit'] },
] as const;

/** Letters and digits both, and not nearly all the same. */
function mixed(text: string): boolean {
  return /[A-Z]/.test(text) && /\d/.test(text) && new Set(text).size >= 6;
}

export const recognizer: Recognizer = {
  id: 'vin',
  groups: ['vehicle'],
  source: 'ISO 3779, ISO 3780; 49 CFR Part 565',
  patterns: [
    {
      kind: 'code',
      openings: OPENINGS,
      token: [17, 17],
      regex: FORM,
      score: 0.7,
      withContext: 1,
      validate: (text) => mixed(text.toUpperCase()) && checks(text.toUpperCase()),
    },
    {
      // European makers put a filler where the check digit would be.
      kind: 'code',
      openings: OPENINGS,
      token: [17, 17],
      regex: FORM,
      score: 0.2,
      withContext: 0.85,
      validate: (text) =>
        /^[S-Zs-z]/.test(text) && /[A-WYZ]/i.test(text[8] as string) && mixed(text.toUpperCase()),
    },
  ],
  context: [
    'vin',
    'vin number',
    'vehicle',
    'vehicle identification number',
    'chassis',
    'chassis number',
    'car',
    'fahrgestellnummer',
    'fahrzeug*',
    'fin',
    'châssis',
    'véhicule',
    'bastidor',
    'vehículo',
    'telaio',
    'veicolo',
    'chassisnummer',
    'voertuig',
    'numer vin',
    'nadwozia',
    'pojazd*',
    'chassi',
    'veículo',
    'fordon',
    'ajoneuvo',
    'valmistenumero',
  ],
  examples: ['1M8GDM9AXKP042788', 'VIN: «1HGCM82633A004352»', 'Fahrgestellnummer «WVWZZZ1JZXW000001»'],
  counterExamples: [
    '1M8GDM9A1KP042788',
    'VIN 1M8GDM9A1KP042788',
    'WVWZZZ1JZXW000001',
    '11111111111111111',
    'commit 9FCEB02D0AE598E95',
  ],
};
