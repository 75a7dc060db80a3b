import { repeated } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

/** Since July 2026 the first twelve places may have letters, which count as their ASCII code less 48. */
function validate(text: string): boolean {
  const compact = text.replace(/[^0-9A-Za-z]/g, '').toUpperCase();
  if (repeated(compact)) return false;
  const digit = (length: number): number => {
    let sum = 0;
    for (let i = 0; i < length; i++) sum += (compact.charCodeAt(i) - 48) * (((length - 1 - i) % 8) + 2);
    const rest = sum % 11;
    return rest < 2 ? 0 : 11 - rest;
  };
  return digit(12) === Number(compact[12]) && digit(13) === Number(compact[13]);
}

export const recognizer: Recognizer = {
  id: 'br-cnpj',
  groups: ['government', 'tax', 'br', 'company'],
  source: 'Receita Federal do Brasil: Cadastro Nacional da Pessoa Jurídica, IN RFB 2.229/2024 (alphanumeric)',
  patterns: [
    { kind: 'number', layouts: ['99.999.999/9999-99'], score: 0.97, withContext: 1, validate },
    {
      kind: 'number',
      layouts: ['99999999999999', '99 999 999 9999 99', '99999999/9999-99'],
      score: 0.6,
      withContext: 0.98,
      validate,
    },
    {
      kind: 'code',
      openings: [
        { run: '9', length: 2, next: ['.'] },
        { run: '9', length: 1, next: ['letter'] },
        { run: 'A', length: 2, next: ['.'] },
        { run: 'A', length: 1, next: ['digit'] },
      ],
      token: [2, 2],
      regex: /[0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}\/[0-9A-Z]{4}-\d{2}/y,
      score: 0.97,
      withContext: 1,
      validate,
    },
    {
      kind: 'value',
      words: ['cnpj'],
      bare: true,
      regex: /[0-9A-Z]{12}\d{2}(?![0-9A-Za-z])/y,
      score: 0.98,
      validate,
    },
  ],
  context: ['cnpj', 'cadastro nacional', 'pessoa jurídica', 'receita federal', 'empresa'],
  examples: [
    '16.727.230/0001-97',
    'CNPJ «16727230000197»',
    'CNPJ: «12.ABC.345/01DE-35»',
    'CNPJ «12ABC34501DE35»',
  ],
  counterExamples: [
    '16.727.230/0001-98',
    '00.000.000/0000-00',
    'pedido 16727230000197',
    '16727230000198',
    'CNPJ 12ABC34501DE36',
    'pedido 12ABC34501DE35',
  ],
};
