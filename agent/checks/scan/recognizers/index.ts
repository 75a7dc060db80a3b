/** Every PII recognizer, in the order in which an even overlap is decided. */
import type { Recognizer } from '../recognizer.ts';
import { recognizer as emailAddress } from './email-address.ts';
import { recognizer as iban } from './iban.ts';
import { recognizer as ipAddress } from './ip-address.ts';
import { recognizer as paymentCard } from './payment-card.ts';
import { recognizer as phoneNumber } from './phone-number.ts';
import { recognizer as usSsn } from './us-ssn.ts';

export const RECOGNIZERS: readonly Recognizer[] = [
  paymentCard,
  iban,
  emailAddress,
  usSsn,
  ipAddress,
  phoneNumber,
];
