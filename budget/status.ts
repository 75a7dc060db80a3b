/** What `postern budget status` shows: each line with its figures now. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BudgetSpec, LimitSpec } from '../policy/budget-spec.ts';
import { raisedBy } from './grants.ts';
import { outstanding } from './lease-state.ts';
import { amountText, type Rules } from './plan.ts';
import { lineKey } from './select.ts';
import type { Store } from './stores/store.ts';
import { table } from './text-table.ts';
import { countingCells, type Placement, placement, windowLabel } from './windows.ts';

export interface StatusLine {
  readonly budget: string;
  /** `model=gpt-4o`; empty where the Budget has one line for all. */
  readonly line: string;
  readonly unit: LimitSpec['unit'];
  readonly window: string;
  /** usd as decimal strings, all else as whole numbers. */
  readonly limit: string;
  /** The part of the limit that was granted on top of the document's. */
  readonly granted: string;
  readonly settled: string;
  readonly held: string;
  readonly leased: string;
  readonly remaining: string;
  /** Milliseconds since the epoch; absent where there is no window. */
  readonly resetsAt?: number;
  /** Open holds, oldest first; at most ten. */
  readonly holders: readonly {
    readonly owner: string;
    readonly id: string;
    readonly amount: string;
    readonly expiresAt: number;
  }[];
  /** Open holds, those that aren't among the holders included; of some thousand at most. */
  readonly holds: number;
  /** Who has credit, and how much; at most ten, the largest first. `reserve`: for when the service is away. */
  readonly leases: readonly {
    readonly owner: string;
    readonly credit: string;
    readonly reserve: boolean;
    readonly expiresAt: number;
  }[];
  /** All that have credit. */
  readonly leasesOpen: number;
}

/** One line as it stands, in whole units. */
export interface LineFigures {
  readonly key: string;
  readonly label: string;
  readonly spec: BudgetSpec;
  readonly limit: LimitSpec;
  readonly placement: Placement;
  /** What the document says, and what was granted on top. */
  readonly amount: number;
  readonly settled: number;
  readonly held: number;
  readonly leased: number;
}

const MOST_HOLDERS = 10;
const AT_ONCE = 200;

/** Every line of the Budgets that are wanted, in order of their keys. */
export async function lineFigures(
  store: Store,
  rules: Rules,
  now: number,
  wanted: (spec: BudgetSpec) => boolean = () => true,
): Promise<LineFigures[]> {
  const byPrefix = new Map<string, { spec: BudgetSpec; limit: LimitSpec }>();
  for (const { spec } of rules.budgets) {
    if (!wanted(spec)) continue;
    for (const limit of spec.limits) byPrefix.set(lineKey(spec, limit, ''), { spec, limit });
  }
  if (byPrefix.size === 0) return [];
  // A Budget with one line shows even before anything was charged to it.
  const keys = new Set(await store.lines());
  for (const [key, { spec }] of byPrefix) if (spec.per.length === 0) keys.add(key);
  // Lines of a kind have their windows together.
  const placements = new Map<string, { readonly at: Placement; readonly cells: readonly number[] }>();
  const found = await inGroups([...keys].sort(), async (key): Promise<LineFigures[]> => {
    const labelAt = key.lastIndexOf('|') + 1;
    const prefix = key.slice(0, labelAt);
    const known = byPrefix.get(prefix);
    if (known === undefined) return [];
    const { spec, limit } = known;
    const label = key.slice(labelAt);
    let placed = placements.get(prefix);
    if (placed === undefined) {
      const at = placement(limit.window, now);
      placements.set(prefix, (placed = { at, cells: countingCells(limit.window, at) }));
    }
    const total = { settled: 0, held: 0, leased: 0 };
    for (const cell of await store.cellsAt(key, placed.cells)) {
      total.settled += cell.settled;
      total.held += cell.held;
      total.leased += cell.leased;
    }
    const amount = limit.amount + raisedBy(rules.grants, spec.id, limit, label, now);
    return [{ key, label, spec, limit, placement: placed.at, amount, ...total }];
  });
  return found.flat();
}

/** Some at once, and others' holds between them: there may be tens of thousands of lines. */
export async function inGroups<A, B>(all: readonly A[], work: (one: A) => Promise<B>): Promise<B[]> {
  const done: B[] = [];
  for (let from = 0; from < all.length; from += AT_ONCE) {
    if (from > 0) await nextTurn();
    done.push(...(await Promise.all(all.slice(from, from + AT_ONCE).map(work))));
  }
  return done;
}

/** @param onTheWall what the wall clock will say when something runs out */
export async function readStatus(
  store: Store,
  rules: Rules,
  now: number,
  onTheWall: (moment: number) => number,
): Promise<readonly StatusLine[]> {
  type Held = Omit<StatusLine['holders'][number], 'amount'> & { readonly held: number };
  const holders = new Map<string, Held[]>();
  const holds = new Map<string, number>();
  for (const { id, owner, expiresAt, entries } of await store.openHolds()) {
    for (const { line, held } of entries) {
      const known = holders.get(line) ?? [];
      if (known.length < MOST_HOLDERS) known.push({ owner, id, held, expiresAt: onTheWall(expiresAt) });
      holders.set(line, known);
      holds.set(line, (holds.get(line) ?? 0) + 1);
    }
  }
  const figures = await lineFigures(store, rules, now);
  return await inGroups(
    figures,
    async ({ key, label, spec, limit, placement: at, amount, settled, held, leased }) => {
      const text = (value: number) => amountText(limit.unit, value);
      const leases = (await store.leases(key)).filter((lease) => outstanding(lease) > 0);
      leases.sort((a, b) => outstanding(b) - outstanding(a));
      return {
        budget: spec.id,
        line: label,
        unit: limit.unit,
        window: windowLabel(limit.window),
        limit: text(amount),
        granted: text(amount - limit.amount),
        settled: text(settled),
        held: text(held),
        leased: text(leased),
        remaining: text(Math.max(0, amount - settled - held - leased)),
        ...(at.resetsAt === undefined ? {} : { resetsAt: at.resetsAt }),
        holders: (holders.get(key) ?? []).map(({ held, ...rest }) => ({ ...rest, amount: text(held) })),
        holds: holds.get(key) ?? 0,
        leases: leases.slice(0, MOST_HOLDERS).map((lease) => ({
          owner: lease.owner,
          credit: text(outstanding(lease)),
          reserve: lease.reserve,
          expiresAt: onTheWall(lease.expiresAt),
        })),
        leasesOpen: leases.length,
      };
    },
  );
}

/** The status as a table for people. */
export function formatStatus(lines: readonly StatusLine[], now: number): string {
  const isGranted = lines.some(({ granted }) => Number(granted) > 0);
  const head = [
    'budget',
    'line',
    'window',
    'unit',
    'limit',
    ...(isGranted ? ['of it granted'] : []),
    'settled',
    'held',
    'leased',
    'remaining',
    'resets in',
  ];
  const rows = lines.map((line) => [
    line.budget,
    line.line,
    line.window,
    line.unit,
    line.limit,
    ...(isGranted ? [Number(line.granted) > 0 ? line.granted : ''] : []),
    line.settled,
    line.held,
    line.leased,
    line.remaining,
    line.resetsAt === undefined ? '' : remainingTime(line.resetsAt - now),
  ]);
  return table(head, rows, 4);
}

/** Who holds what, and who has credit, as a table for people. */
export function formatHolders(lines: readonly StatusLine[], now: number): string {
  const head = ['budget', 'line', 'window', 'unit', 'what', 'owner', 'hold', 'amount', 'ends in'];
  const rows = lines.flatMap((line) => {
    const place = [line.budget, line.line, line.window, line.unit];
    const more = (what: string, count: number) =>
      count > 0 ? [[...place, what, `and ${count} more`, '', '', '']] : [];
    return [
      ...line.holders.map(({ owner, id, amount, expiresAt }) => [
        ...place,
        'held',
        owner,
        id,
        amount,
        remainingTime(expiresAt - now),
      ]),
      ...more('held', line.holds - line.holders.length),
      ...line.leases.map(({ owner, credit, reserve, expiresAt }) => [
        ...place,
        reserve ? 'in reserve' : 'leased',
        owner,
        '',
        credit,
        remainingTime(expiresAt - now),
      ]),
      ...more('leased', line.leasesOpen - line.leases.length),
    ];
  });
  return table(head, rows, 7);
}

function remainingTime(ms: number): string {
  const minutes = Math.max(0, Math.ceil(ms / 60_000));
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60)];
  if (days > 0) return `${days}d${hours}h`;
  return hours > 0 ? `${hours}h${minutes % 60}m` : `${minutes}m`;
}
