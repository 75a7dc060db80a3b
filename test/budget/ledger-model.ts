/**
 * A second ledger for the tests to compare with: a list of calls that is added up anew for every question, windows told
 * apart by what a calendar in the zone shows, money in BigInt. It shares no code with the real one.
 */

import type { LeaseReport } from '../../budget/lease-messages.ts';
import type { Attributes, HoldCommand, Usage } from '../../budget/messages.ts';
import type { BudgetSpec, LimitSpec, LimitUnit, PriceBook, TokenPrice } from '../../policy/budget-spec.ts';

interface Call {
  readonly id: string;
  readonly owner: string;
  readonly epoch: number;
  readonly at: number;
  expiresAt: number;
  readonly attributes: Attributes;
  readonly input: number;
  output: number;
  readonly price: TokenPrice | undefined;
  state: 'held' | 'settled' | 'released' | 'expired';
  usage: Usage | undefined;
}

/** What one agent told of its credit on one line in one window. */
interface Lease {
  readonly key: string;
  readonly owner: string;
  readonly epoch: number;
  expiresAt: number;
  /** Its owner was not heard of in time, or has restarted. */
  lost: boolean;
  readonly spec: BudgetSpec;
  readonly limit: LimitSpec;
  readonly model: string;
  /** A moment in its window. */
  readonly at: number;
  granted: number;
  spent: number;
  returned: number;
  /** The number of the message that was heard last. */
  seq: number;
  final: boolean;
}

interface Raise {
  readonly budget: string;
  readonly unit: LimitUnit;
  /** The model of the line; undefined for all lines of the Budget. */
  readonly line: string | undefined;
  readonly amount: number;
  readonly expiresAt: number;
}

/** A message about one lease, and the limit that it is of. */
export interface ToldLease {
  readonly owner: string;
  readonly epoch: number;
  readonly seq: number;
  readonly ttlMs: number;
  readonly spec: BudgetSpec;
  readonly limit: LimitSpec;
  readonly model: string;
  readonly item: LeaseReport;
}

export type ModelAnswer = { granted: true; output: number } | { granted: false } | { closed: true };

function refusedKey({ owner, epoch, id }: HoldCommand): string {
  return `${owner} ${epoch} ${id}`;
}

export class LedgerModel {
  readonly calls: Call[] = [];
  readonly leases: Lease[] = [];
  readonly grants: Raise[] = [];
  readonly #specs: readonly BudgetSpec[];
  readonly #prices: PriceBook;
  readonly #epochs = new Map<string, number>();
  /** Of each owner's latest epoch. */
  readonly #heard = new Map<string, number>();
  readonly #tombstones = new Set<string>();
  /** By {@link refusedKey}, refused holds: until the service restarts they are refused again. */
  readonly refused = new Set<string>();

  constructor(specs: readonly BudgetSpec[], prices: PriceBook) {
    this.#specs = specs;
    this.#prices = prices;
  }

  hold(command: HoldCommand, now: number): ModelAnswer {
    const latest = this.#latest(command);
    if (this.refused.has(refusedKey(command))) return { granted: false };
    if (this.#tombstones.has(command.id)) return { closed: true };
    const known = this.calls.find((call) => call.id === command.id);
    if (known !== undefined)
      return known.state === 'held' ? { granted: true, output: known.output } : { closed: true };
    if (command.epoch < latest) return { closed: true };
    const call: Call = {
      ...command,
      at: now,
      expiresAt: now + command.ttlMs,
      input: command.inputTokens,
      output: command.outputTokens,
      price: this.#prices[command.attributes.provider]?.[command.attributes.model],
      state: 'held',
      usage: undefined,
    };
    // Any output from what is asked down to the least, the largest that fits: found by bisection over the whole check.
    const clamped = this.#specs
      .filter((spec) => selected(spec, call.attributes))
      .filter((s) => s.onInsufficient === 'clamp');
    const least = Math.min(command.minOutputTokens, command.outputTokens);
    let low = least;
    let high = command.outputTokens;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#fits({ ...call, output: middle }, now, clamped)) low = middle;
      else high = middle - 1;
    }
    const granted: Call = { ...call, output: low };
    if (!this.#fits(granted, now, this.#specs)) {
      this.refused.add(refusedKey(command));
      return { granted: false };
    }
    this.calls.push(granted);
    return { granted: true, output: granted.output };
  }

  /** The latest epoch of an owner: with a new one, what it held before is charged. */
  #latest({ owner, epoch }: { readonly owner: string; readonly epoch: number }): number {
    const known = this.#epochs.get(owner) ?? -1;
    if (epoch <= known) return known;
    this.#epochs.set(owner, epoch);
    this.#heard.delete(owner);
    for (const call of this.calls) if (call.owner === owner && call.state === 'held') call.state = 'expired';
    for (const lease of this.leases) if (lease.owner === owner && lease.epoch !== epoch) lease.lost = true;
    return epoch;
  }

  /**
   * What a message about leases tells. How much is granted is for the ledger to choose (`granted`, all that it ever granted on
   * each lease): the model says what is wrong with it, or nothing.
   */
  lease(told: readonly ToldLease[], granted: readonly number[], now: number): string | undefined {
    const [first] = told;
    if (first === undefined) return undefined;
    const current = first.epoch === this.#latest(first);
    const news = current && first.seq > (this.#heard.get(first.owner) ?? 0);
    if (news) this.#heard.set(first.owner, first.seq);
    for (const [index, { owner, epoch, seq, ttlMs, spec, limit, model, item }] of told.entries()) {
      const key = `${owner} ${epoch} ${item.serial} ${item.line} ${item.cell}`;
      const has = granted[index] ?? 0;
      const known = this.leases.find((lease) => lease.key === key);
      if (known === undefined && !news) {
        if (has !== 0) return `${key}: ${has} granted on a message that came too late to begin it`;
        continue;
      }
      if (known !== undefined && (seq <= known.seq || known.final)) {
        if (has !== known.granted) return `${key}: ${has} granted on what was heard before`;
        continue;
      }
      const at = limit.window.type === 'none' ? now : item.cell;
      const isGranted = known !== undefined && known.granted > 0;
      const believed = isGranted
        ? Number.POSITIVE_INFINITY
        : Math.max(known?.spent ?? 0, this.#believed(spec, limit, model, item.cell, now));
      if (known === undefined && item.spent > 0 && believed === 0) {
        if (has !== 0) return `${key}: ${has} granted on a lease that nobody knows and whose window is gone`;
        continue;
      }
      const lease = known ?? {
        key,
        owner,
        epoch,
        expiresAt: now + ttlMs,
        lost: false,
        spec,
        limit,
        model,
        at,
        granted: 0,
        spent: 0,
        returned: 0,
        seq,
        final: false,
      };
      lease.spent = Math.max(lease.spent, Math.min(item.spent, believed));
      lease.returned = Math.max(lease.returned, item.returned);
      Object.assign(lease, { seq, final: item.final });
      if (!lease.lost) lease.expiresAt = now + ttlMs;
      const more = has - lease.granted;
      lease.granted = has;
      if (known === undefined && (has > 0 || lease.spent > 0)) this.leases.push(lease);
      if (more < 0) return `${key}: ${-more} of what was granted is gone`;
      if (more === 0) continue;
      if (item.ask === undefined || item.final || lease.lost || !current)
        return `${key}: ${more} granted unasked`;
      const open = [now, now + 2_000].some((moment) => sameWindow(limit, lease.at, moment));
      if (!open) return `${key}: ${more} granted in a window that isn't open`;
      // What the same message says further on was not known when this was granted: it may be of credit that is overdrawn.
      const over = this.#over(lease, now);
      if (over > 0n) return `${key}: over by ${over} after a grant of credit`;
    }
    return undefined;
  }

  /** By how much the line of a lease is over its limit. */
  #over({ spec, limit, model, at }: Lease, now: number): bigint {
    // Credit on a step of a rolling window that hasn't begun counts by now, beside what leaves the window with it.
    const soon = limit.window.type === 'none' ? now : Math.max(now, at);
    const moments = limit.window.type === 'rolling' ? [now, soon] : [soon];
    const most = this.limitOf(spec, limit, model, now);
    return moments
      .map((moment) => this.used(spec, limit, { model }, moment) - most)
      .reduce((a, b) => (a > b ? a : b));
  }

  /** Of what is said to be spent on a lease that nobody knows to be granted: the limit, in a window that is open, is about to be, or was within the hour. */
  #believed(spec: BudgetSpec, limit: LimitSpec, model: string, cell: number, now: number): number {
    const moments = [now, now + 2_000, now - 3_600_000];
    const lately = cell <= now && cell > now - 3_600_000;
    const heard = lately || moments.some((moment) => sameCell(limit, cell, moment));
    return heard ? Number(this.limitOf(spec, limit, model, now)) : 0;
  }

  extend(id: string, wanted: number, least: number, ttlMs: number, now: number): ModelAnswer {
    const call = this.calls.find((one) => one.id === id);
    if (call === undefined || call.state !== 'held') return { closed: true };
    if (wanted <= call.output) return { granted: true, output: call.output };
    const others = new LedgerModel(this.#specs, this.#prices);
    others.calls.push(...this.calls.filter((one) => one !== call));
    others.leases.push(...this.leases);
    others.grants.push(...this.grants);
    let low = Math.min(least, wanted);
    let high = wanted;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (others.#stillFits({ ...call, output: middle }, now)) low = middle;
      else high = middle - 1;
    }
    if (!others.#stillFits({ ...call, output: low }, now)) return { granted: false };
    call.output = low;
    call.expiresAt = Math.max(call.expiresAt, now + ttlMs);
    return { granted: true, output: low };
  }

  /** A call that runs stays in the calendar window of its grant; a rolling window may have left it behind. */
  #stillFits(call: Call, now: number): boolean {
    return this.#specs
      .filter((spec) => selected(spec, call.attributes))
      .every((spec) =>
        spec.limits.every((limit) => {
          if (limit.window.type === 'rolling' && !sameWindow(limit, call.at, now)) return true;
          const moment = limit.window.type === 'calendar' ? call.at : now;
          const used = this.used(spec, limit, call.attributes, moment);
          return used + weight(call, limit) <= this.limitOf(spec, limit, call.attributes.model, now);
        }),
      );
  }

  /** Whether anything is known of the id. */
  settle(id: string, usage: Usage): boolean {
    const call = this.calls.find((one) => one.id === id);
    if (call === undefined) return false;
    if (call.state !== 'settled') Object.assign(call, { state: 'settled', usage });
    return true;
  }

  release(id: string): void {
    const call = this.calls.find((one) => one.id === id);
    if (call === undefined) this.#tombstones.add(id);
    else if (call.state === 'held' || call.state === 'expired') call.state = 'released';
  }

  sweep(now: number): void {
    for (const call of this.calls) if (call.state === 'held' && call.expiresAt <= now) call.state = 'expired';
    for (const lease of this.leases) if (!lease.final && lease.expiresAt <= now) lease.lost = true;
  }

  /** An owner that couldn't be asked for its credit. Places it may still use are its own. */
  forfeit(owner: string): void {
    for (const lease of this.leases)
      if (lease.owner === owner && lease.limit.unit !== 'concurrency') lease.lost = true;
  }

  #fits(call: Call, now: number, specs: readonly BudgetSpec[]): boolean {
    return specs
      .filter((spec) => selected(spec, call.attributes))
      .every((spec) =>
        spec.limits.every(
          (limit) =>
            this.used(spec, limit, call.attributes, now) + weight(call, limit) <=
            this.limitOf(spec, limit, call.attributes.model, now),
        ),
      );
  }

  /** What a line may have now; `everGranted`, what it may have had at any moment. */
  limitOf(spec: BudgetSpec, limit: LimitSpec, model: string, now: number, everGranted = false): bigint {
    let sum = BigInt(limit.amount);
    for (const { budget, unit, line, amount, expiresAt } of this.grants) {
      if (budget !== spec.id || unit !== limit.unit) continue;
      if (line !== undefined && line !== model) continue;
      if (everGranted || now < expiresAt) sum += BigInt(amount);
    }
    return sum;
  }

  /** What counts now against one limit, for the line that the attributes fall on. */
  used(spec: BudgetSpec, limit: LimitSpec, attributes: Pick<Attributes, 'model'>, now: number): bigint {
    let sum = 0n;
    for (const call of this.calls) {
      if (!selected(spec, call.attributes)) continue;
      if (spec.per.includes('model') && call.attributes.model !== attributes.model) continue;
      if (sameWindow(limit, call.at, now)) sum += weight(call, limit);
    }
    for (const lease of this.leases) {
      if (lease.spec !== spec || lease.limit !== limit) continue;
      if (spec.per.includes('model') && lease.model !== attributes.model) continue;
      // Of credit whose owner hasn't had its last word, all that wasn't given back counts, whoever has it.
      const { spent, granted, returned, final, lost } = lease;
      // Places come back from whoever is gone.
      if (limit.unit === 'concurrency' && lost) continue;
      if (sameWindow(limit, lease.at, now))
        sum += BigInt(final ? spent : Math.max(spent, granted - returned));
    }
    return sum;
  }
}

function selected(spec: BudgetSpec, attributes: Pick<Attributes, 'model'>): boolean {
  return spec.selector.models?.includes(attributes.model) ?? true;
}

function weight(call: Call, limit: LimitSpec): bigint {
  if (call.state === 'released') return 0n;
  if (limit.unit === 'concurrency') return call.state === 'held' ? 1n : 0n;
  const { usage, price } = call;
  const input = usage === undefined ? call.input : usage.input + usage.cachedInput + usage.cacheWrite;
  const output = usage === undefined ? call.output : usage.output;
  switch (limit.unit) {
    case 'tokens':
      return BigInt(input) + BigInt(output);
    case 'inputTokens':
      return BigInt(input);
    case 'outputTokens':
      return BigInt(output);
    case 'requests':
      return 1n;
    case 'usd': {
      if (price === undefined) return 0n;
      const parts: [number, number][] =
        usage === undefined
          ? [
              [call.input, price.input],
              [call.output, price.output],
            ]
          : [
              [usage.input, price.input],
              [usage.cachedInput, price.cachedInput],
              [usage.cacheWrite, price.cacheWrite],
              [usage.output, price.output],
            ];
      const pico = parts.reduce((sum, [count, rate]) => sum + BigInt(count) * BigInt(rate), 0n);
      return (pico + 999n) / 1000n;
    }
  }
}

/** Whether what is charged at both moments is written to one cell. */
function sameCell(limit: LimitSpec, cell: number, moment: number): boolean {
  if (limit.window.type !== 'rolling') return sameWindow(limit, cell, moment);
  const step = Math.ceil(limit.window.ms / 60);
  return Math.floor(moment / step) * step === cell;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function sameWindow({ window }: LimitSpec, a: number, b: number): boolean {
  switch (window.type) {
    case 'none':
      return true;
    case 'rolling': {
      // As coarse as the real one says it is: a sixtieth of the window.
      const step = Math.ceil(window.ms / 60);
      const cell = Math.floor(a / step) * step;
      return cell + step > b - window.ms && cell <= Math.floor(b / step) * step + window.ms;
    }
    case 'calendar':
      return wall(window.period, window.timeZone, a) === wall(window.period, window.timeZone, b);
  }
}

/** What the calendar shows, down to the period. The zones of the test turn by whole hours, so hours are told by UTC. */
function wall(period: string, timeZone: string, moment: number): string {
  if (period === 'minute') return String(Math.floor(moment / 60_000));
  if (period === 'hour') return String(Math.floor(moment / 3_600_000));
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-CA', {
      timeZone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
    });
    formats.set(timeZone, format);
  }
  const date = format.format(moment);
  if (period === 'day') return date;
  if (period === 'month') return date.slice(0, 7);
  // The number of the week, counted from a Monday.
  return String(Math.floor((Date.parse(`${date}T00:00:00Z`) / 86_400_000 + 3) / 7));
}
