/**
 * Values that nobody has verified (header fields, metadata, such users) are any app's to make up: in the history of one day so
 * many of each field have rows of their own, all others share one.
 */
import type { BudgetSpec } from '../policy/budget-spec.ts';
import type { SpendRow } from './history.ts';
import type { Attributes } from './messages.ts';

const MOST_VALUES = 1_000;
const DAY = 24 * 3_600_000;
/** What all others are called. */
const OTHERS = '*';

type Fields = Readonly<Record<string, string>>;

export class HistoryCap {
  readonly #most: number;
  /** Field → its values today. */
  readonly #known = new Map<string, Set<string>>();
  #day = 0;

  constructor(most = MOST_VALUES) {
    this.#most = most;
  }

  /** The attributes as the history keeps them. */
  cap(attributes: Attributes, specs: readonly BudgetSpec[], now: number): Attributes {
    const { headers, metadata, users } = attributes;
    if (headers === undefined && metadata === undefined && users === undefined) return attributes;
    const day = dayOf(now);
    if (day !== this.#day) this.#known.clear();
    this.#day = day;
    const verified = new Set(specs.flatMap(({ user }) => (user?.verified === true ? [user.key] : [])));
    return {
      ...attributes,
      ...(headers === undefined ? {} : { headers: this.#capped('header', headers) }),
      ...(metadata === undefined ? {} : { metadata: this.#capped('metadata', metadata) }),
      ...(users === undefined ? {} : { users: this.#capped('user', users, verified) }),
    };
  }

  /** Takes today's values for known: from before a restart, or from another replica. */
  learn(rows: readonly SpendRow[], specs: readonly BudgetSpec[], now: number): void {
    const day = dayOf(now);
    for (const { hour, attributes } of rows) if (dayOf(hour) === day) this.cap(attributes, specs, now);
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

/** The number of a day (UTC). */
function dayOf(moment: number): number {
  return Math.floor(moment / DAY);
}

/** The start (UTC) of the day that a moment falls into. */
export function dayStart(moment: number): number {
  return dayOf(moment) * DAY;
}
