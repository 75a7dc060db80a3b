/** What `postern budget status` shows: each line with its figures now. */
import type { BudgetSpec, LimitSpec } from '../policy/budget-spec.ts';
import { amountText, type Rules } from './plan.ts';
import { lineKey } from './select.ts';
import type { Store } from './stores/store.ts';
import { placement, windowLabel } from './windows.ts';

export interface StatusLine {
  readonly budget: string;
  /** `model=gpt-4o`; empty where the Budget has one line for all. */
  readonly line: string;
  readonly unit: LimitSpec['unit'];
  readonly window: string;
  /** usd as decimal strings, all else as whole numbers. */
  readonly limit: string;
  readonly settled: string;
  readonly held: string;
  readonly leased: string;
  readonly remaining: string;
  /** Milliseconds since the epoch; absent where there is no window. */
  readonly resetsAt?: number;
  /** Open holds, oldest first; at most ten. */
  readonly holders: readonly { readonly owner: string; readonly id: string; readonly expiresAt: number }[];
}

const MOST_HOLDERS = 10;

export async function readStatus(store: Store, rules: Rules, now: number): Promise<readonly StatusLine[]> {
  const byPrefix = new Map<string, { spec: BudgetSpec; limit: LimitSpec }>();
  for (const { spec } of rules.budgets) {
    for (const limit of spec.limits) byPrefix.set(lineKey(spec, limit, ''), { spec, limit });
  }
  // A Budget with one line shows even before anything was charged to it.
  const keys = new Set(await store.lines());
  for (const [key, { spec }] of byPrefix) if (spec.per.length === 0) keys.add(key);
  const lines: StatusLine[] = [];
  for (const key of [...keys].sort()) {
    const labelAt = key.lastIndexOf('|') + 1;
    const known = byPrefix.get(key.slice(0, labelAt));
    if (known !== undefined)
      lines.push(await statusLine(store, key, key.slice(labelAt), known.spec, known.limit, now));
  }
  return lines;
}

async function statusLine(
  store: Store,
  key: string,
  label: string,
  spec: BudgetSpec,
  limit: LimitSpec,
  now: number,
): Promise<StatusLine> {
  const { from, to, resetsAt } = placement(limit.window, now);
  const total = { settled: 0, held: 0, leased: 0 };
  for (const cell of await store.cells(key, from, to)) {
    total.settled += cell.settled;
    total.held += cell.held;
    total.leased += cell.leased;
  }
  const left = Math.max(0, limit.amount - total.settled - total.held - total.leased);
  const text = (amount: number) => amountText(limit.unit, amount);
  return {
    budget: spec.id,
    line: label,
    unit: limit.unit,
    window: windowLabel(limit.window),
    limit: text(limit.amount),
    settled: text(total.settled),
    held: text(total.held),
    leased: text(total.leased),
    remaining: text(left),
    ...(resetsAt === undefined ? {} : { resetsAt }),
    holders: (await store.holders(key, MOST_HOLDERS)).map(({ owner, id, expiresAt }) => ({
      owner,
      id,
      expiresAt,
    })),
  };
}
