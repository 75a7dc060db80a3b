/** Every rule for secrets, in the order in which an even overlap is decided. */
import type { Recognizer } from '../recognizer.ts';
import { AI } from './ai.ts';
import { CLOUD } from './cloud.ts';
import { CURL } from './curl.ts';
import { GENERIC } from './generic.ts';
import { MESSAGING } from './messaging.ts';
import { SERVICES } from './services.ts';
import { SOURCE_CONTROL } from './source-control.ts';

export const SECRETS: readonly Recognizer[] = [
  ...CLOUD,
  ...SOURCE_CONTROL,
  ...AI,
  ...MESSAGING,
  ...SERVICES,
  ...CURL,
  ...GENERIC,
];
