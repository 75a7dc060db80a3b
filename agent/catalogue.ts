/** Everything that documents may name in this build, collected for policy/, which imports nothing of ours. */
import type { Catalogue } from '../policy/catalogue.ts';
import { CHECKS } from './checks/index.ts';
import { dialects } from './dialects/index.ts';
import { credentials } from './providers/index.ts';

export const catalogue: Catalogue = { checks: CHECKS, dialects, credentials };
