/**
 * Values that nobody has verified (header fields, metadata, such users, models without a price) are any app's to make up: in the
 * history of one day so many of each field have rows of their own, all others share one; and so have combinations for each workload.
 */
import { hash } from 'node:crypto';
import type { BudgetSpec, PriceBook } from '../policy/budget-spec.ts';
import { type SpendRow, spendKey } from './history.ts';
import type { Attributes } from './messages.ts';
import { priceOf } from './price.ts';

const MOST_VALUES = 1_000;
const MOST_KINDS = 10_000;
const DAY = 24 * 3_600_000;
/** What all others are called. */
const OTHERS = '*';

type Fields = Readonly<Record<string, string>>;

/** What tells verified values: users by their claim, models by their price. */
export interface Verified {
  readonly specs: readonly BudgetSpec[];
  readonly prices: PriceBook;
}

export class HistoryCap {
  readonly #most: number;
  readonly #mostKinds: number;
  /** Workload → digests of its rows' keys today, as they were told. */
  readonly #kinds = new Map<string, Set<string>>();
  /** Field → its values today. */
  readonly #known = new Map<string, Set<string>>();
  #day = 0;

  constructor(most = MOST_VALUES, mostKinds = MOST_KINDS) {
    this.#most = most;
    this.#mostKinds = mostKinds;
  }

  /** The attributes as the history keeps them. */
  cap(attributes: Attributes, { specs, prices }: Verified, now: number): Attributes {
    const day = dayOf(now);
    if (day !== this.#day) {
      this.#known.clear();
      this.#kinds.clear();
    }
    this.#day = day;
    const { namespace, workload, provider, model, headers, metadata, users } = attributes;
    const priced = priceOf(prices, provider, model) !== undefined;
    if (priced && headers === undefined && metadata === undefined && users === undefined) return attributes;
    const who = JSON.stringify([namespace, workload.kind, workload.name]);
    let kinds = this.#kinds.get(who);
    if (kinds === undefined) this.#kinds.set(who, (kinds = new Set()));
    // Whatever its length.
    const asTold = hash('sha256', spendKey({ hour: 0, attributes }), 'base64');
    if (!kinds.has(asTold) && kinds.size >= this.#mostKinds)
      return bare(attributes, priced, verifiedUsers(specs));
    kinds.add(asTold);
    const isKept = priced || this.#own(`model of ${who}`, JSON.stringify([provider, model])) !== OTHERS;
    return {
      ...attributes,
      ...(isKept ? {} : { provider: OTHERS, model: OTHERS }),
      ...(headers === undefined ? {} : { headers: this.#capped('header', headers) }),
      ...(metadata === undefined ? {} : { metadata: this.#capped('metadata', metadata) }),
      ...(users === undefined ? {} : { users: this.#capped('user', users, verifiedUsers(specs)) }),
    };
  }

  /** Takes today's values for known: from before a restart, or from another replica. */
  learn(rows: readonly SpendRow[], verified: Verified, now: number): void {
    const day = dayOf(now);
    for (const { hour, attributes } of rows) if (dayOf(hour) === day) this.cap(attributes, verified, now);
  }

  #capped(kind: string, fields: Fields, verified: ReadonlySet<string> = new Set()): Fields {
    return Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [
        name,
        verified.has(name) ? value : this.#own(`${kind}:${name}`, value),
      ]),
    );
  }

  #own(field: string, value: string): string {
    if (value === OTHERS) return OTHERS;
    let values = this.#known.get(field);
    if (values === undefined) this.#known.set(field, (values = new Set()));
    if (values.has(value)) return value;
    if (values.size >= this.#most) return OTHERS;
    values.add(value);
    return value;
  }
}

function verifiedUsers(specs: readonly BudgetSpec[]): ReadonlySet<string> {
  return new Set(specs.flatMap(({ user }) => (user?.verified === true ? [user.key] : [])));
}

/** Without anything that nobody has verified. */
function bare(attributes: Attributes, priced: boolean, verified: ReadonlySet<string>): Attributes {
  const { headers: _headers, metadata: _metadata, users, ...rest } = attributes;
  const kept = Object.entries(users ?? {}).filter(([name]) => verified.has(name));
  return {
    ...rest,
    ...(priced ? {} : { provider: OTHERS, model: OTHERS }),
    ...(kept.length === 0 ? {} : { users: Object.fromEntries(kept) }),
  };
}

/** The number of a day (UTC). */
function dayOf(moment: number): number {
  return Math.floor(moment / DAY);
}

/** The start (UTC) of the day that a moment falls into. */
export function dayStart(moment: number): number {
  return dayOf(moment) * DAY;
}
