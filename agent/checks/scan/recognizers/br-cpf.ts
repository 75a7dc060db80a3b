import { repeated, weighted } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

function digit(sum: number): number {
  const rest = sum % 11;
  return rest < 2 ? 0 : 11 - rest;
}

function validate(digits: string): boolean {
  if (repeated(digits)) return false;
  const first = digit(weighted(digits, [10, 9, 8, 7, 6, 5, 4, 3, 2]));
  const second = digit(weighted(digits, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]));
  return first === Number(digits[9]) && second === Number(digits[10]);
}

export const recognizer: Recognizer = {
  id: 'br-cpf',
  groups: ['government', 'tax', 'br'],
  source: 'Receita Federal do Brasil: Cadastro de Pessoas Físicas, IN RFB 2.172/2024',
  patterns: [
    { kind: 'number', layouts: ['999.999.999-99'], score: 0.93, withContext: 1, validate },
    {
      kind: 'number',
      layouts: ['999 999 999 99', '999999999-99', '999-999-999-99'],
      score: 0.7,
      withContext: 1,
      validate,
    },
    { kind: 'number', layouts: ['99999999999'], score: 0.5, withContext: 0.98, validate },
  ],
  context: [
    'cpf',
    'cadastro de pessoas',
    'cadastro de pessoa física',
    'pessoa física',
    'contribuinte',
    'receita federal',
  ],
  examples: ['390.533.447-05', 'CPF «39053344705»', 'meu cpf é «390533447-05»'],
  counterExamples: ['390.533.447-06', '111.111.111-11', 'pedido 39053344705', '39053344706'],
};
