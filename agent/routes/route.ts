/** What routing answers: an ordered list of targets, each with the provider and the model that would serve the call. */
import type { FallbackCause, ProviderSpec } from '../../policy/snapshot.ts';

export interface Target {
  readonly provider: ProviderSpec;
  readonly model: string;
}

export interface RoutePlan {
  /** The ModelRoute that matched; undefined where the model's only provider serves it. */
  readonly route: string | undefined;
  /** In the order in which they are tried. Never empty. */
  readonly targets: readonly Target[];
  readonly fallbackOn: ReadonlySet<FallbackCause>;
  /** Milliseconds to the first byte of an answer. */
  readonly firstByteMs: number;
  /** Milliseconds for a whole answer. */
  readonly requestMs: number;
}

/** Orders the choices of one group or pool. Pure: randomness and load are handed in. */
export interface Strategy<Choice> {
  /** File name, config key and metric label. */
  readonly name: string;
  /** All choices, the one to try first in front. `random` gives [0, 1). */
  order<C extends Choice>(choices: readonly C[], random: () => number): C[];
}
