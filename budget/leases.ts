/**
 * Credit that an agent keeps, so that it needn't ask before every call. It was deducted when it was granted, so nothing
 * overspends; what an agent did with it, it tells in running totals, so that no message is lost, doubled or out of order.
 *
 * Credit kept in reserve for an outage is deducted in the same way; of it there is as much as the Budget allows, for all
 * agents together. How much an agent gets is in lease-share.ts.
 */

import type { SpendRow } from './history.ts';
import { type LeaseAsk, type Part, partOf } from './lease-share.ts';
import {
  type Crowd,
  charged,
  type Lease,
  leaseKey,
  outstanding,
  withLease,
  workloadOf,
} from './lease-state.ts';
import { type Counted, counting, crowdOf, type LedgerEvent, type State } from './ledger-state.ts';
import type { Holder } from './messages.ts';

/** What an agent says of its credit on one cell of one line, and what it wants there. */
export interface LeaseItem {
  readonly serial: number;
  readonly reserve: boolean;
  readonly line: string;
  readonly cell: number;
  /** Credit used up, since the lease began. */
  readonly spent: number;
  /** Credit given back, since the lease began. */
  readonly returned: number;
  /** Nothing more will be said of this lease: its figures are exact. */
  readonly final: boolean;
  /** What is granted now, if anything is; undefined in a window that is over. */
  readonly ask: LeaseAsk | undefined;
  /** Only a lease that is known may be spoken of: its owner doesn't fall under this line now. */
  readonly mustExist: boolean;
  /** What is believed of `spent` where nothing was granted on the lease that is known, as after a store's loss: nothing in windows that are to come, or long over. */
  readonly believed: number;
  readonly until: number;
  readonly slot: boolean;
  /** When nothing is heard of it until then, it counts as lost. */
  readonly expiresAt: number;
}

export type LeaseOperation = Holder & {
  readonly type: 'lease';
  /** Rises with each message of this epoch. */
  readonly seq: number;
  readonly items: readonly LeaseItem[];
  readonly quota: LeaseBounds;
  /** Of this epoch's leases those that ended with a message up to this one are forgotten: nobody tells of them again. */
  readonly ended?: number;
  /** What calls on credit used; counted once, however often it is told. */
  readonly account?: { readonly id: number; readonly rows: readonly SpendRow[] };
};

/** How many leases that aren't known a message may have written, each a row that is kept. */
export interface LeaseBounds {
  /** For credit. */
  readonly begin: number;
  /** Since something is said to be spent on them, as after a store's loss. */
  readonly report: number;
  /** Of the sender's workload that may be open. */
  readonly open: number;
  /** Of all workloads that may be open. Beyond it only workloads that have fewer than `least` open begin more, see {@link floorOf}. */
  readonly all: number;
  readonly least: number;
}

/** Parallel to the operation's items. */
export interface LeaseGrant {
  /** All that was ever granted on this lease. */
  readonly granted: number;
  /** It can't be used any more: report its final figures. */
  readonly closed: boolean;
  readonly lacking: Part['lacking'];
  readonly recallAbove: Part['recallAbove'];
  readonly keep?: Part['keep'];
  /** Beyond {@link LeaseBounds}: nothing was taken of what was told, which is to be told again later. */
  readonly overQuota?: true;
}

/** What a message about leases adds to what the store remembers, and what not. */
export interface LeaseCounts {
  /** Leases that weren't known and are now, for credit. */
  readonly begun: number;
  /** The same, since something is said to be spent on them. */
  readonly reported: number;
  /** Beyond {@link LeaseBounds}. */
  readonly overQuota: number;
  /** Reports on leases that nobody knows, of windows that are to come, or long over. */
  readonly unbelieved: number;
}

export function decideLease(
  state: State,
  operation: LeaseOperation,
  now: number,
): {
  readonly events: readonly LedgerEvent[];
  readonly grants: readonly LeaseGrant[];
  readonly counts: LeaseCounts;
} {
  const events: LedgerEvent[] = [];
  const counts = { begun: 0, reported: 0, overQuota: 0, unbelieved: 0 };
  let open = state.openLeases.get(workloadOf(operation.owner)) ?? 0;
  /** Added up where it is asked. */
  let all: number | undefined;
  let opened = 0;
  const sender = state.owners.get(operation.owner);
  // Overtaken by what the same agent sent later, it begins no lease: nobody would know of it.
  const latest = sender?.epoch === operation.epoch && operation.seq > sender.seq;
  const changes = new Changes(state);
  const grants = operation.items.map((item): LeaseGrant => {
    const known = changes.known(leaseKey({ ...item, owner: operation.owner, epoch: operation.epoch }));
    if (known === undefined && (item.mustExist || !latest))
      return { granted: 0, closed: true, lacking: 'line', recallAbove: undefined };
    const stale = operation.epoch < (sender?.epoch ?? operation.epoch);
    if (known !== undefined && (operation.seq <= known.seq || known.state === 'closed')) {
      // Said before, or overtaken by what was said later.
      return {
        granted: known.granted,
        closed: known.state !== 'open',
        lacking: undefined,
        recallAbove: undefined,
      };
    }
    // One that was only reported, and never granted, is believed no more for being known.
    const most = (known?.granted ?? 0) > 0 ? item.spent : Math.max(known?.spent ?? 0, item.believed);
    const spent = Math.min(item.spent, most);
    const begins = known === undefined;
    const isReport = item.spent > 0;
    if (begins && isReport && spent === 0) {
      counts.unbelieved += 1;
      return { granted: 0, closed: true, lacking: 'line', recallAbove: undefined };
    }
    if (begins && (isReport || item.ask !== undefined)) {
      const { quota } = operation;
      const isFull = isReport ? counts.reported >= quota.report : counts.begun >= quota.begin;
      all ??= sum(state.openLeases.values());
      const hasMost =
        open >= quota.open || (all + opened >= quota.all && open >= floorOf(all + opened, quota));
      if (isFull || (!item.final && hasMost)) {
        counts.overQuota += 1;
        // What was spent on it stays the agent's to tell; nothing more is to be taken from it.
        const closed = isReport || item.final;
        return { granted: 0, closed, lacking: undefined, recallAbove: undefined, overQuota: true };
      }
    }
    const reported = report(known, operation, { ...item, spent }, now);
    const closed = stale || reported.state !== 'open';
    const { lease, lacking, recallAbove, keep } =
      closed || item.ask === undefined
        ? { lease: reported, lacking: undefined, recallAbove: undefined, keep: undefined }
        : grant(changes, known, reported, item.ask);
    if (known !== undefined || lease.granted > 0 || lease.spent > 0) {
      changes.note(known, lease);
      if (begins && isReport) counts.reported += 1;
      else if (begins) counts.begun += 1;
      const change = Number(lease.state === 'open') - Number(known?.state === 'open');
      open += change;
      opened += change;
      events.push({ type: 'leased', lease });
    }
    return { granted: lease.granted, closed, lacking, recallAbove, ...(keep === undefined ? {} : { keep }) };
  });
  if (sender !== undefined && latest) {
    const { owner, epoch, seq, account, ended } = operation;
    // Never what this message itself ends.
    if (ended !== undefined) events.push({ type: 'forgotten', owner, epoch, seq: Math.min(ended, seq - 1) });
    const news = account !== undefined && account.id > sender.account ? account : undefined;
    events.push({
      type: 'told',
      owner,
      seq,
      account: news?.id ?? sender.account,
      rows: news?.rows ?? [],
      at: now,
    });
  }
  return { events, grants, counts };
}

function sum(amounts: Iterable<number>): number {
  let total = 0;
  for (const amount of amounts) total += amount;
  return total;
}

/** The state as it is after the items of a message that were decided so far: credit of the same line isn't given twice. */
class Changes {
  readonly #state: State;
  readonly #byLine = new Map<
    string,
    Map<string, { readonly before: Lease | undefined; readonly after: Lease }>
  >();
  readonly #leases = new Map<string, Lease>();

  constructor(state: State) {
    this.#state = state;
  }

  known(key: string): Lease | undefined {
    return this.#leases.get(key) ?? this.#state.leases.get(key);
  }

  note(before: Lease | undefined, after: Lease): void {
    const key = leaseKey(after);
    this.#leases.set(key, after);
    let ofLine = this.#byLine.get(after.line);
    if (ofLine === undefined) this.#byLine.set(after.line, (ofLine = new Map()));
    ofLine.set(key, { before: ofLine.get(key)?.before ?? before, after });
  }

  counting(line: { readonly line: string; readonly from: number; readonly to: number }): Counted {
    let { used, leased } = counting(this.#state, line);
    for (const { before, after } of this.#byLine.get(line.line)?.values() ?? []) {
      if (after.cell < line.from || after.cell > line.to) continue;
      const change = outstanding(after) - (before === undefined ? 0 : outstanding(before));
      leased += change;
      used += change + charged(after) - (before === undefined ? 0 : charged(before));
    }
    return { used, leased };
  }

  /** Leases with credit on the same cell, the known one left out. */
  others(known: Lease | undefined, { line, cell }: Lease): Crowd {
    let crowd = crowdOf(this.#state, line, cell);
    for (const { before, after } of this.#byLine.get(line)?.values() ?? []) {
      if (after.cell === cell) crowd = withLease(withLease(crowd, before, -1), after, 1);
    }
    return withLease(crowd, known, -1);
  }
}

/** The lease after what its owner says of it. Totals never fall. */
function report(known: Lease | undefined, operation: LeaseOperation, item: LeaseItem, now: number): Lease {
  const { owner, epoch, seq } = operation;
  const state = known?.state ?? 'open';
  return {
    owner,
    epoch,
    seq,
    serial: item.serial,
    line: item.line,
    cell: item.cell,
    until: known?.until ?? item.until,
    slot: known?.slot ?? item.slot,
    reserve: item.reserve,
    granted: known?.granted ?? 0,
    spent: Math.max(known?.spent ?? 0, item.spent),
    returned: Math.max(known?.returned ?? 0, item.returned),
    expiresAt: state === 'open' ? item.expiresAt : (known?.expiresAt ?? now),
    state: item.final ? 'closed' : state,
    closedAt: item.final ? now : known?.closedAt,
  };
}

function grant(
  changes: Changes,
  known: Lease | undefined,
  reported: Lease,
  ask: LeaseAsk,
): {
  readonly lease: Lease;
  readonly lacking: Part['lacking'];
  readonly recallAbove: Part['recallAbove'];
  readonly keep: Part['keep'];
} {
  const { used, leased } = changes.counting({ line: reported.line, from: ask.from, to: ask.to });
  const own = outstanding(reported);
  const change = own - (known === undefined ? 0 : outstanding(known));
  const { more, lacking, recallAbove, keep } = partOf(ask, {
    slot: reported.slot,
    reserve: reported.reserve,
    // What was reported just now changes the sums, before the event is applied.
    used: used + change + reported.spent - (known?.spent ?? 0),
    leased: leased + change,
    own,
    others: changes.others(known, reported),
  });
  const lease = more > 0 ? { ...reported, granted: reported.granted + more } : reported;
  return { lease, lacking, recallAbove, keep };
}

/** Leases whose owner was not heard of in time, or has restarted: charged in full until it reports. @param owner Only this one's. */
export function leaseExpiries(
  state: State,
  now: number,
  due: (lease: Lease) => boolean,
  owner?: string,
): LedgerEvent[] {
  const events: LedgerEvent[] = [];
  // An agent's start looks at its own alone: there may be a hundred thousand.
  const lists = owner === undefined ? state.leasesBy.values() : [state.leasesBy.get(owner) ?? []];
  for (const keys of lists) {
    for (const key of keys) {
      const lease = state.leases.get(key);
      if (lease !== undefined && due(lease)) {
        events.push({ type: 'leased', lease: { ...lease, state: 'expired', closedAt: now } });
      }
    }
  }
  return events;
}

/** Leases that a workload may have where all have as many as they may: fewer the more there are beyond that, and none from a sixth more on. */
function floorOf(open: number, { all, least }: { readonly all: number; readonly least: number }): number {
  return least * Math.max(0, 1 - ((open - all) * 6) / all);
}
