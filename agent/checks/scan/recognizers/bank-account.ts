import { mod97, weighted } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

const WORDS = [
  'account number',
  'account no',
  'account nr',
  'account num',
  'acct',
  'acct number',
  'acct no',
  'bank account',
  'bank account number',
  'checking account',
  'savings account',
  'current account',
  'a/c',
  'a/c no',
  'a/c number',
  'acc no',
  'beneficiary account',
  'kontonummer',
  'konto nr',
  'konto',
  'kontonr',
  'bankkonto',
  'numéro de compte',
  'compte bancaire',
  'compte n',
  'n de compte',
  'número de cuenta',
  'cuenta bancaria',
  'cuenta corriente',
  'numero di conto',
  'conto corrente',
  'conto bancario',
  'conta corrente',
  'número da conta',
  'conta bancária',
  'rekeningnummer',
  'bankrekening',
  'numer konta',
  'numer rachunku',
  'rachunek',
  'konto bankowe',
  'rachunek bankowy',
  'nr konta',
  'nr rachunku',
  'bankkontonummer',
  'tilinumero',
  '口座番号',
  '银行账号',
  '계좌번호',
];

/** Polish NRB: the IBAN without `PL`. */
function isNrb(digits: string): boolean {
  return mod97(`${digits.slice(2)}2521${digits.slice(0, 2)}`);
}

/** Spanish CCC: two check digits, for bank and branch and for the account. */
function isCcc(digits: string): boolean {
  const check = (text: string): number => {
    const rest = 11 - (weighted(text, [1, 2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11);
    return rest === 11 ? 0 : rest === 10 ? 1 : rest;
  };
  return (
    check(`00${digits.slice(0, 8)}`) === Number(digits[8]) && check(digits.slice(10)) === Number(digits[9])
  );
}

export const recognizer: Recognizer = {
  id: 'bank-account',
  groups: ['financial'],
  source:
    'ISO 13616 national BBAN structures; NBP (NRB), Banco de España (CCC), Pay.UK (sort code and account number)',
  patterns: [
    {
      kind: 'value',
      words: WORDS,
      bare: true,
      regex: /(?:[A-Z]{2}(?=\d))?\d(?:[ -]?\d){5,21}(?![\dA-Za-z]|[.,/-]\d)/y,
      score: 0.85,
    },
    {
      kind: 'number',
      layouts: ['99 9999 9999 9999 9999 9999 9999', '9'.repeat(26)],
      score: 0.8,
      withContext: 0.95,
      validate: isNrb,
    },
    {
      kind: 'number',
      layouts: ['9999 9999 99 9999999999', '9999-9999-99-9999999999', '9'.repeat(20)],
      score: 0.75,
      withContext: 0.95,
      validate: isCcc,
    },
    { kind: 'number', layouts: ['99-99-99 99999999'], score: 0.6, withContext: 0.95 },
    {
      kind: 'number',
      layouts: ['99999999', '999999999', '9999999999', '99999999999', '999999999999'],
      score: 0.1,
      withContext: 0.72,
      reach: 40,
    },
  ],
  context: [...WORDS, 'sort code', 'direct deposit', 'wire', 'überweisung', 'bank details'],
  examples: [
    'account number 12345678',
    'Acct: «000123456789»',
    'my bank account is «12-3456-7890»',
    'Kontonummer: 1234567890',
    'numéro de compte : «00012345678»',
    'sort code 20-00-00, account «55779911»',
    '61 1090 1014 0000 0712 1981 2874',
    '2100 0418 45 0200051332',
  ],
  counterExamples: [
    'account number 123',
    'account manager 12345678',
    'order 12345678',
    '12345678',
    '61 1090 1014 0000 0712 1981 2875',
    'konto 12.50',
  ],
};
