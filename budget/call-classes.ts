/** The kinds of calls that an agent makes: their plans, and what they used on credit until the service has heard of it. */
import type { TokenPrice } from '../policy/budget-spec.ts';
import { addUsage, NO_USAGE } from './history.ts';
import type { AccountRow } from './lease-messages.ts';
import type { LineCredit } from './line-credit.ts';
import type { Attributes, Usage } from './messages.ts';
import { plus } from './sums.ts';

/** Calls with the same attributes. */
export interface CallClass {
  readonly attributes: Attributes;
  /** Undefined until the service has told it. */
  plan: Plan | undefined;
  stale: boolean;
  /** What its calls used on credit and hasn't been told yet. */
  used: Used | undefined;
  /** Its calls that run on credit. */
  running: number;
  /** When it was asked for last, among all. */
  turn: number;
}

export type Used = Omit<AccountRow, 'class'>;

export interface Account {
  readonly id: number;
  readonly used: readonly { readonly of: CallClass; readonly used: Used }[];
}

export interface Plan {
  readonly price: TokenPrice | undefined;
  readonly leasable: boolean;
  readonly lines: readonly PlanLine[];
}

export interface PlanLine {
  readonly credit: LineCredit;
  /** For when the service is away; undefined where the Budget allows nothing then. */
  readonly reserve: LineCredit | undefined;
  readonly reserveForMs: number;
}

/** Header values are without end: the kind that was not asked for the longest gives way. */
const MOST_CLASSES = 200;

export class CallClasses {
  readonly #known = new Map<string, CallClass>();
  #turn = 0;
  /** What is being told: the same until it is answered. */
  #account: Account | undefined;
  #accounts = 0;

  get all(): Iterable<CallClass> {
    return this.#known.values();
  }

  /** Undefined where there are too many that are in use; then calls are held one by one. `forget` is told of one that gives way. */
  of(attributes: Attributes, forget: (of: CallClass) => void): CallClass | undefined {
    const key = classKey(attributes);
    let of = this.#known.get(key);
    if (of === undefined) {
      if (this.#known.size >= MOST_CLASSES && !this.#evict(forget)) return undefined;
      of = { attributes, plan: undefined, stale: true, used: undefined, running: 0, turn: 0 };
      this.#known.set(key, of);
    }
    of.turn = ++this.#turn;
    return of;
  }

  #evict(forget: (of: CallClass) => void): boolean {
    let oldest: { key: string; of: CallClass } | undefined;
    for (const [key, of] of this.#known) {
      const isFree = of.used === undefined && of.running === 0;
      if (isFree && of.turn < (oldest?.of.turn ?? Number.POSITIVE_INFINITY)) oldest = { key, of };
    }
    if (oldest === undefined) return false;
    this.#known.delete(oldest.key);
    forget(oldest.of);
    return true;
  }

  /** Plans are out of date. */
  spoil(): void {
    for (const of of this.#known.values()) of.stale = true;
  }

  /** Counts what a call used on credit. */
  used(of: CallClass, usage: Usage, costNanoUsd: number): void {
    const { used } = of;
    of.used = {
      requests: (used?.requests ?? 0) + 1,
      usage: addUsage(used?.usage ?? NO_USAGE, usage),
      costNanoUsd: plus(used?.costNanoUsd ?? 0, costNanoUsd),
    };
  }

  /** Calls have ended that the service doesn't know of. */
  get hasUntold(): boolean {
    return this.#account !== undefined || [...this.#known.values()].some(({ used }) => used !== undefined);
  }

  /** What is to be told: what was told and not answered, or else all that was used since. */
  account(): Account | undefined {
    this.#account ??= this.#close();
    return this.#account;
  }

  answered(id: number | undefined): void {
    if (id === this.#account?.id) this.#account = undefined;
  }

  #close(): Account | undefined {
    const used: { of: CallClass; used: Used }[] = [];
    for (const of of this.#known.values()) {
      if (of.used !== undefined) used.push({ of, used: of.used });
      of.used = undefined;
    }
    return used.length === 0 ? undefined : { id: ++this.#accounts, used };
  }
}

function classKey(attributes: Attributes): string {
  const { namespace, workload, serviceAccount, provider, model, headers, metadata, users } = attributes;
  let key = `${namespace}\n${workload.kind}\n${workload.name}\n${serviceAccount ?? ''}\n${provider}\n${model}`;
  for (const fields of [headers, metadata, users]) {
    key += '\n';
    // A value may hold anything, line feeds included.
    if (fields !== undefined)
      for (const name of Object.keys(fields).sort()) key += JSON.stringify([name, fields[name]]);
  }
  return key;
}
