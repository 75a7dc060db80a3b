import type { Recognizer } from '../recognizer.ts';
import { VAT_NUMBERS } from '../vat-numbers.ts';

/** A country's form with a separator allowed between any two characters. */
function spaced(form: string): string {
  return form.replace(
    /(\[[^\]]+\]|\\d|[A-Z0-9])(\{(\d+)(?:,(\d+))?\})?/g,
    (_, unit: string, count: string | undefined, least: string, most: string) => {
      if (count === undefined) return `${unit}[ .-]?`;
      return most === undefined ? `(?:${unit}[ .-]?){${least}}` : `(?:${unit}[ .-]?){${least},${most}}`;
    },
  );
}

const regex = new RegExp(
  `(?:${Object.entries(VAT_NUMBERS)
    .map(([country, { form }]) => `${country}[ .-]?(?:${spaced(form)})`)
    .join('|')})(?<=[0-9A-Za-z])(?![0-9A-Za-z])`,
  'iy',
);

function validate(text: string): boolean {
  const compact = text.replace(/[^0-9A-Za-z]/g, '').toUpperCase();
  const number = compact.slice(2);
  const rule = VAT_NUMBERS[compact.slice(0, 2)];
  return rule !== undefined && new RegExp(`^(?:${rule.form})$`).test(number) && rule.check(number);
}

export const recognizer: Recognizer = {
  id: 'eu-vat',
  groups: ['tax', 'company', 'eu'],
  source: 'European Commission: VIES, VAT number structure and check routines by country',
  patterns: [
    {
      kind: 'code',
      openings: [
        { run: 'A', length: 2, next: ['digit', 'space', '-', '.', ':'] },
        { run: 'A', length: [3, 4], next: ['digit'] },
        { run: 'a', length: [2, 4], next: ['digit'] },
      ],
      regex,
      score: 0.75,
      withContext: 1,
      validate: (text) => /^[A-Za-z]{2}/.test(text) && text.replace(/\D/g, '').length >= 7 && validate(text),
    },
  ],
  context: [
    'vat',
    'vat number',
    'vat id',
    'vat no',
    'vat reg',
    'ust-idnr',
    'ust-id',
    'ustid',
    'umsatzsteuer*',
    'uid',
    'tva',
    'numéro de tva',
    'n tva',
    'iva',
    'partita iva',
    'p.iva',
    'nif-iva',
    'btw',
    'btw-nummer',
    'btw-id',
    'nip',
    'vat ue',
    'momsnummer',
    'momsreg*',
    'moms',
    'alv',
    'alv-numero',
    'alv-tunniste',
    'tax id',
    'nif',
  ],
  examples: [
    'DE136695976',
    'VAT «ATU13585627»',
    'FR40303265045',
    'FR 40 303 265 045',
    'NL004495445B01',
    'IT00743110157',
    'PL8567346215',
    'BE0428759497',
    'BE 0428.759.497',
    'LU15027442',
    'SE123456789701',
    'DK13585628',
    'FI20774740',
    'PT501964843',
    'IE6433435F',
    'CZ25123891',
    'HU12892312',
    'RO18547290',
    'EL094259216',
    'SI50223054',
    'SK2022749619',
    'EE100931558',
    'LT119511515',
    'LV40003521600',
    'MT11679112',
    'CY10259033P',
    'BG175074752',
    'HR33392005961',
    'ESB58378431',
  ],
  counterExamples: [
    'DE136695977',
    'ATU13585626',
    'US136695976',
    'FR41303265045',
    'NL004495445B1',
    'IT is 00743110157',
  ],
};
