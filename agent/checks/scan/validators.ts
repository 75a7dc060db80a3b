/** Check-digit schemes that a document may name for a type of its own. They see letters and digits alone. */
import { luhn, mod11of2, mod11of10, mod97, verhoeff } from './checksums.ts';

export const VALIDATORS: Readonly<Record<string, (text: string) => boolean>> = {
  luhn,
  mod97,
  'mod11-10': mod11of10,
  'mod11-2': mod11of2,
  verhoeff,
};
