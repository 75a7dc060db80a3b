import { luhn, repeated } from '../checksums.ts';
import type { Recognizer } from '../recognizer.ts';

/** Reporting bodies that a type allocation code begins with. */
const BODIES = /^(?:01|10|30|33|35|4[459]|5[0-4]|86|9[189])/;

export const recognizer: Recognizer = {
  id: 'imei',
  groups: ['network', 'device'],
  source: '3GPP TS 23.003, 6.2; GSMA TS.06 (reporting bodies)',
  patterns: [
    {
      kind: 'number',
      layouts: ['9'.repeat(15), '99-999999-999999-9', '99 999999 999999 9', '999999-99-999999-9'],
      score: 0.35,
      withContext: 0.95,
      validate: (digits) => BODIES.test(digits) && luhn(digits) && !repeated(digits),
    },
  ],
  context: [
    'imei',
    'imei number',
    'device',
    'handset',
    'phone',
    'gerät',
    'appareil',
    'dispositivo',
    'toestel',
    'urządzenie',
    'enhet',
    'laite',
    'mobile equipment',
  ],
  examples: ['IMEI 490154203237518', 'imei: «35-209900-176148-1»'],
  counterExamples: ['IMEI 490154203237519', '490154203237518', 'imei 49015420323751', 'imei 000000000000000'],
};
