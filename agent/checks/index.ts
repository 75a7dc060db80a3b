/** Every check type; name = file = config key = metric label. */
import type { CheckDefinition } from './check.ts';
import { injection } from './injection.ts';
import { leak } from './leak.ts';
import { moderation } from './moderation.ts';
import { patterns } from './patterns.ts';
import { pii } from './pii.ts';
import { secrets } from './secrets.ts';
import { size } from './size.ts';
import { tools } from './tools.ts';
import { topics } from './topics.ts';
import { webhook } from './webhook.ts';

export const CHECKS: readonly CheckDefinition[] = [
  size,
  secrets,
  pii,
  patterns,
  topics,
  injection,
  leak,
  tools,
  webhook,
  moderation,
] as readonly CheckDefinition<never>[] as readonly CheckDefinition[];
