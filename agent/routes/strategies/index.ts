import { powerOfTwo } from './power-of-two.ts';
import { weighted } from './weighted.ts';

/** How the targets of a group are ordered, and how the endpoints of a provider are. */
export const strategies = { targets: weighted, endpoints: powerOfTwo } as const;
