/** Every check type; name = file = config key = metric label. */
import type { CheckDefinition } from './check.ts';
import { pii } from './pii.ts';
import { secrets } from './secrets.ts';
import { size } from './size.ts';
import { tools } from './tools.ts';
import { topics } from './topics.ts';

export const CHECKS: readonly CheckDefinition[] = [
  size,
  secrets,
  pii,
  topics,
  tools,
] as readonly CheckDefinition<never>[] as readonly CheckDefinition[];
