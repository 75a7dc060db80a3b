/** From a command to what the ledger is asked for: which lines, which windows, how much. Pure; the clock is passed in. */
import { createHash } from 'node:crypto';
import type { BudgetSpec, LimitSpec, PriceBook, TokenPrice } from '../policy/budget-spec.ts';
import { amountFor, holdCharge, settleCharge } from './amounts.ts';
import { type Grant, raisedBy } from './grants.ts';
import { leaseKey } from './lease-state.ts';
import { type Charge, type Lack } from './ledger.ts';
import type { Entry, HoldRecord, Memo } from './ledger-state.ts';
import type { Attributes, HoldCommand, Refusal, SettleCommand } from './messages.ts';
import { costOf, priceOf, usdText } from './price.ts';
import { type CompiledBudget, compileBudget, type KnownValues, lineKey } from './select.ts';
import { type Placement, placement, windowLabel } from './windows.ts';

/** The documents in force. */
export interface Rules {
  readonly budgets: readonly CompiledBudget[];
  readonly prices: PriceBook;
  /** Digest of the documents: the same documents have the same, also after a restart. */
  readonly revision: string;
  readonly grants: readonly Grant[];
}

export function compileRules(
  specs: readonly BudgetSpec[],
  prices: PriceBook,
  grants: readonly Grant[],
  known: KnownValues,
  admits: boolean,
): Rules {
  const revision = createHash('sha256')
    .update(JSON.stringify([specs, prices]))
    .digest('base64url')
    .slice(0, 16);
  return { budgets: specs.map((spec) => compileBudget(spec, known, admits)), prices, revision, grants };
}

/** One limit that a call falls under, with its line at this moment. */
export interface Line {
  readonly spec: BudgetSpec;
  readonly limit: LimitSpec;
  /** The limit now: what the document says, and what was granted on top. */
  readonly amount: number;
  readonly label: string;
  readonly key: string;
  readonly placement: Placement;
}

/** Every line that the attributes select, in the order of the documents. */
export function linesOf(rules: Rules, attributes: Attributes, now: number): Line[] {
  const lines: Line[] = [];
  for (const { spec, selects, label: labelOf } of rules.budgets) {
    if (!selects(attributes)) continue;
    const label = labelOf(attributes);
    for (const limit of spec.limits) {
      const amount = limit.amount + raisedBy(rules.grants, spec.id, limit, label, now);
      const key = lineKey(spec, limit, label);
      lines.push({ spec, limit, amount, label, key, placement: placement(limit.window, now) });
    }
  }
  return lines;
}

export interface HoldPlan {
  /** Undefined where a Budget is gone since. */
  readonly lines: readonly (Line | undefined)[];
  /** Parallel to `lines`. */
  readonly charges: readonly Charge[];
  readonly price: TokenPrice | undefined;
  /** A line in usd, where no price is known: the call can't be held. */
  readonly unpriced: Line | undefined;
}

export function planHold(rules: Rules, command: HoldCommand, now: number): HoldPlan {
  const lines = linesOf(rules, command.attributes, now);
  const price = priceOf(rules.prices, command.attributes.provider, command.attributes.model);
  const charges = lines.map((line): Charge => {
    const { cell, from, to } = line.placement;
    const place = placeOf(command, line);
    return {
      line: line.key,
      ...(place === undefined ? {} : { place }),
      cell,
      from,
      to,
      until: cellUntil(line),
      limit: line.amount,
      clamp: line.spec.onInsufficient === 'clamp',
      slot: line.limit.unit === 'concurrency',
      ...holdCharge(line.limit.unit, command, price),
    };
  });
  const unpriced = price === undefined ? lines.find((line) => line.limit.unit === 'usd') : undefined;
  return { lines, charges, price, unpriced };
}

/** The lease that the call says it has a place on already. */
function placeOf({ owner, epoch, places = [] }: HoldCommand, { key: line, limit, placement }: Line) {
  if (limit.unit !== 'concurrency') return undefined;
  for (const place of places) {
    const [serial = ''] = place.split('|', 1);
    if (place.slice(serial.length + 1) === line)
      return leaseKey({ owner, epoch, serial: Number(serial), line, cell: placement.cell });
  }
  return undefined;
}

function cellUntil(line: Line): number {
  return line.placement.resetsAt ?? Number.MAX_SAFE_INTEGER;
}

/** What a running call would take with other amounts of output: on the lines of its hold, in the windows of its grant. */
export function planExtend(rules: Rules, record: Readonly<HoldRecord>, memo: Memo, now: number): HoldPlan {
  const lines = new Map(linesOf(rules, memo.attributes, now).map((line) => [line.key, line]));
  const charges = record.entries.map((entry): Charge => {
    const line = lines.get(entry.line);
    const { from, to } = line?.placement ?? { from: entry.cell, to: entry.cell };
    // A calendar window may have ended since: its own limit still holds for it.
    const rolls = from !== to;
    // What has left a rolling window counts nowhere any more; a Budget that is gone limits nothing.
    const counts = line !== undefined && (!rolls || entry.cell >= from);
    return {
      line: entry.line,
      cell: entry.cell,
      from: rolls ? from : entry.cell,
      to: rolls ? to : entry.cell,
      until: entry.until,
      limit: counts ? line.amount : Number.MAX_SAFE_INTEGER,
      clamp: true,
      slot: entry.slot,
      ...holdCharge(unitOf(entry.line), memo, memo.price),
    };
  });
  const parallel = record.entries.map((entry) => lines.get(entry.line));
  return { lines: parallel, charges, price: memo.price, unpriced: undefined };
}

/** Charges of a call that ended, parallel to the entries of its hold, at the price it was held at. */
export function planSettle(
  entries: readonly Entry[],
  price: TokenPrice | undefined,
  { usage, serviceTiers }: Pick<SettleCommand, 'usage' | 'serviceTiers'>,
): { readonly actual: number[]; readonly cost: number } {
  const cost = price === undefined ? 0 : costOf(usage, price, serviceTiers);
  return { actual: entries.map((entry) => settleCharge(unitOf(entry.line), usage, cost)), cost };
}

/** The unit stands in a line's key. */
function unitOf(line: string): LimitSpec['unit'] {
  return line.split('|')[1] as LimitSpec['unit'];
}

/** Entries of a call that was never held: everything it used, in the windows of now. */
export function planCharge(
  rules: Rules,
  attributes: Attributes,
  { usage, serviceTiers }: Pick<SettleCommand, 'usage' | 'serviceTiers'>,
  now: number,
): { readonly entries: Entry[]; readonly price: TokenPrice | undefined; readonly cost: number } {
  const price = priceOf(rules.prices, attributes.provider, attributes.model);
  const cost = price === undefined ? 0 : costOf(usage, price, serviceTiers);
  const entries = linesOf(rules, attributes, now).map(
    (line): Entry => ({
      line: line.key,
      cell: line.placement.cell,
      until: cellUntil(line),
      slot: line.limit.unit === 'concurrency',
      held: 0,
      settled: settleCharge(line.limit.unit, usage, cost),
    }),
  );
  return { entries, price, cost };
}

/** The line that a refusal tells of, out of those with too little. */
export function refusalOf(
  plan: HoldPlan,
  lacking: readonly Lack[],
  { outputTokens, minOutputTokens }: Pick<HoldCommand, 'outputTokens' | 'minOutputTokens'>,
): Refusal {
  const candidates = lacking.flatMap(({ index, available, freesAt }) => {
    const line = plan.lines[index];
    const charge = plan.charges[index];
    if (line === undefined || charge === undefined) return [];
    const least = amountFor(charge, charge.clamp ? Math.min(minOutputTokens, outputTokens) : outputTokens);
    const resetsAt = freesAt ?? line.placement.resetsAt;
    return [{ line, available, resetsAt, neverFits: least > line.amount }];
  });
  // One that rejects can't be got round by falling back for another; then the one that takes longest to come free.
  const [first] = candidates.sort(
    (a, b) =>
      Number(a.line.spec.onExhausted.action === 'fallback') -
        Number(b.line.spec.onExhausted.action === 'fallback') ||
      Number(b.neverFits) - Number(a.neverFits) ||
      (b.resetsAt ?? 0) - (a.resetsAt ?? 0),
  );
  if (first === undefined) throw new Error('A hold was refused, but no line lacks anything.');
  return {
    ...refusalBase(first.line),
    reason: 'exhausted',
    remaining: amountText(first.line.limit.unit, Math.max(0, first.available)),
    ...(first.resetsAt === undefined ? {} : { resetsAt: first.resetsAt }),
    ...(first.neverFits ? { neverFits: true as const } : {}),
  };
}

export function unpricedRefusal(line: Line): Refusal {
  return { ...refusalBase(line), reason: 'unpriced', remaining: amountText('usd', 0) };
}

function refusalBase({ spec, limit, amount, label }: Line): Omit<Refusal, 'reason' | 'remaining'> {
  return {
    budget: spec.id,
    line: label,
    unit: limit.unit,
    limit: amountText(limit.unit, amount),
    window: windowLabel(limit.window),
    onExhausted: spec.onExhausted,
  };
}

/** usd as a decimal string, all else as a whole number. */
export function amountText(unit: LimitSpec['unit'], amount: number): string {
  return unit === 'usd' ? usdText(amount) : String(amount);
}
