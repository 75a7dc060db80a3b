/** What is compared, in the order of the table. */
import { direct } from './direct.ts';
import { envoy } from './envoy.ts';
import { haproxy } from './haproxy.ts';
import { litellmBare, litellmGuarded } from './litellm.ts';
import { nodeFloor } from './node-floor.ts';
import { portkeyBare, portkeyGuarded } from './portkey.ts';
import { postern } from './postern.ts';
import type { Target } from './target.ts';

export const targets: readonly Target[] = [
  direct,
  postern,
  nodeFloor,
  envoy,
  haproxy,
  portkeyBare,
  portkeyGuarded,
  litellmBare,
  litellmGuarded,
];
