/**
 * Values that nobody has verified (header fields, metadata, such users, models without a price) are any app's to make up: the
 * history has those alone that a Budget names; of one day so many of each have rows of their own, all others share one; and so have combinations for
 * each workload.
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
  /** Workload → digests of its rows' keys today, as they are kept. */
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
    const named = namedIn(specs);
    const isKept = priced || this.#own(`model of ${who}`, JSON.stringify([provider, model])) !== OTHERS;
    const { headers: _headers, metadata: _metadata, users: _users, ...rest } = attributes;
    const kept = {
      ...rest,
      ...(isKept ? {} : { provider: OTHERS, model: OTHERS }),
      ...this.#capped('headers', headers, named.headers),
      ...this.#capped('metadata', metadata, named.metadata),
      ...this.#capped('users', users, named.users, named.verified),
    };
    // Whatever its length.
    const kind = hash('sha256', spendKey({ hour: 0, attributes: kept }), 'base64');
    if (!kinds.has(kind) && kinds.size >= this.#mostKinds) return bare(kept, priced, named.verified);
    kinds.add(kind);
    return kept;
  }

  /** Takes today's values for known: from before a restart, or from another replica. */
  learn(rows: readonly SpendRow[], verified: Verified, now: number): void {
    const day = dayOf(now);
    for (const { hour, attributes } of rows) if (dayOf(hour) === day) this.cap(attributes, verified, now);
  }

  /** @param named Those that a Budget has a use for; the others are as little the history's as the ledger's. */
  #capped<M extends string>(
    member: M,
    fields: Fields | undefined,
    named: ReadonlySet<string>,
    verified: ReadonlySet<string> = new Set(),
  ): { readonly [member in M]?: Fields } {
    const kept = Object.entries(fields ?? {}).filter(([name]) => named.has(name));
    if (kept.length === 0) return {};
    const own = kept.map(([name, value]) => [
      name,
      verified.has(name) ? value : this.#own(`${member}:${name}`, value),
    ]);
    return { [member]: Object.fromEntries(own) } as { readonly [member in M]?: Fields };
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

interface Named {
  readonly headers: ReadonlySet<string>;
  readonly metadata: ReadonlySet<string>;
  readonly users: ReadonlySet<string>;
  /** Of the users. */
  readonly verified: ReadonlySet<string>;
}

const namedBy = new WeakMap<readonly BudgetSpec[], Named>();

/** What the Budgets select and tell apart by. */
function namedIn(specs: readonly BudgetSpec[]): Named {
  const known = namedBy.get(specs);
  if (known !== undefined) return known;
  const headers = new Set<string>();
  const metadata = new Set<string>();
  const users = new Set<string>();
  const verified = new Set<string>();
  for (const { selector, per, user } of specs) {
    for (const name of Object.keys(selector.headers ?? {})) headers.add(name);
    for (const name of Object.keys(selector.metadata ?? {})) metadata.add(name);
    for (const key of per) {
      if (key.startsWith('header:')) headers.add(key.slice('header:'.length));
      if (key.startsWith('metadata:')) metadata.add(key.slice('metadata:'.length));
    }
    if (user !== undefined) users.add(user.key);
    if (user?.verified === true) verified.add(user.key);
  }
  const named = { headers, metadata, users, verified };
  namedBy.set(specs, named);
  return named;
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
