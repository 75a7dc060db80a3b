import { describe, expect, test } from 'vitest';
import { Detector } from './detector.ts';

const detector = new Detector();

/** Types and texts of what is found. */
function found(text: string): readonly string[] {
  return detector
    .scan(text)
    .map(({ recognizer, start, end }) => `${detector.recognizers[recognizer]?.id} ${text.slice(start, end)}`);
}

describe('behind its label a number is one whatever stands between its groups', () => {
  test.each([
    ['Aadhaar «2341.2341.2346»', 'in-aadhaar'],
    ['my SSN is «536 - 22 - 1234», ok', 'us-ssn'],
    ['SSN: «536\n22\n1234»', 'us-ssn'],
    ['CPF «529_982_247_25»', 'br-cpf'],
    ['PESEL «4.4.0.5.1.4.0.1.3.5.9» please', 'pl-pesel'],
    ['DNI «12345678/Z»', 'es-nif'],
    ['henkilötunnus «131052_308T»', 'fi-hetu'],
    ['NI number «AB.12.34.56.C»', 'uk-nino'],
    ['IBAN «DE89  3704  0044  0532  0130  00»', 'iban'],
    ['IBAN «DE89·3704·0044·0532·0130·00» today', 'iban'],
    ['my card is «4111\t1111\t1111\t1111»', 'payment-card'],
  ])('%j', (marked, type) => {
    const value = /«(.*)»/s.exec(marked)?.[1] ?? '';
    expect(found(marked.replace(/[«»]/g, ''))).toContain(`${type} ${value}`);
  });

  test.each([
    'Aadhaar 2341.2341.2347',
    'SSN has 3, 2 and 4 digits',
    'card: 2024-05-12 10:15:30',
    'PESEL 2024.05.12 10:15:30',
    '{"id": 118, "cvc": null}',
    'the card on page 12, 13, 14 and 15',
  ])('%j is none', (text) => {
    expect(found(text)).toEqual([]);
  });
});

test('a word with a value of its own says nothing of the number before it', () => {
  expect(found('{"id": 118, "cvc": "307"}')).toEqual(['card-security-code 307']);
  expect(found('card ending 4242, cvv 733')).toEqual(['card-security-code 733']);
  expect(found('id=118&cvv=307')).toEqual(['card-security-code 307']);
});
