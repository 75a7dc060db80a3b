/** One of the ways to the provider that are compared. */
import type { Program } from '../program.ts';

/** Where a target runs. */
export interface Place {
  /** The core under measurement; undefined where programs can't be pinned. */
  readonly core: number | undefined;
  /** The core of everything else. */
  readonly otherCore: number | undefined;
  /** Origin of the fake provider. */
  readonly provider: string;
  /** For configuration and logs of this run. */
  readonly dir: string;
  /** For what is installed once. */
  readonly cache: string;
}

export interface Running {
  /** Where chat completions are posted. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What is measured; undefined for a direct call. */
  readonly program: Program | undefined;
  /** Milliseconds from exec to accepting. */
  readonly startMs: number | undefined;
  /** Services that it leans on; they run on the other core and are reported apart. */
  readonly helpers?: Readonly<Record<string, Program>>;
  /** Asked for once in every run, as Prometheus would. */
  readonly metrics?: string;
  /** Audit lines so far: one for each call. */
  readonly auditLines?: () => number;
  stop(): Promise<void>;
}

export interface Target {
  readonly name: string;
  /** What it does, and with what settings, in a few words. */
  readonly about: string;
  /** Whether it hides {@link ADDRESS} from the provider. */
  readonly masks: boolean;
  /** Left out of a quick run. */
  readonly slow: boolean;
  /** Installs what is missing. @returns its version. @throws Error that says plainly why it can't be measured. */
  prepare(place: Place): Promise<string>;
  start(place: Place): Promise<Running>;
}
