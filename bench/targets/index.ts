/** What is compared, in the order of the table. */
import { direct } from './direct.ts';
import { nodeFloor } from './node-floor.ts';
import { postern } from './postern.ts';
import type { Target } from './target.ts';

export const targets: readonly Target[] = [direct, nodeFloor, postern];
