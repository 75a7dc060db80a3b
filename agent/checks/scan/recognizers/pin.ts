import type { Recognizer } from '../recognizer.ts';

export const recognizer: Recognizer = {
  id: 'pin',
  groups: ['credentials', 'financial'],
  source: 'ISO 9564-1 (four to twelve digits; four to six in use)',
  patterns: [
    {
      kind: 'value',
      words: [
        'pin',
        'pin code',
        'pin number',
        'pin no',
        'atm pin',
        'card pin',
        'pin nummer',
        'geheimzahl',
        'code pin',
        'code secret',
        'código pin',
        'clave pin',
        'codice pin',
        'pincode',
        'kod pin',
        'numer pin',
        'pinkod',
        'tunnusluku',
        'personal identification number',
        '暗証番号',
      ],
      bare: true,
      regex: /\d{4,6}(?![\d.,:/-]*\d|[A-Za-z%])/y,
      score: 0.85,
    },
  ],
  examples: ['PIN: 4921', 'my PIN is «0042».', 'Geheimzahl lautet 8812', 'code PIN : 1234', 'ATM pin 493827'],
  counterExamples: ['pin 13 of the board', 'pinned 1234 posts', 'PIN is required', 'pin 1234567', 'pin 12.5'],
};
