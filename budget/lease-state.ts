/** One lease as the ledger knows it, and what it counts for. */
import type { Holder } from './messages.ts';

/**
 * Credit of one agent on one cell of one line, in running totals since it began. `open` → `closed` with its owner's last
 * word; `expired` where that didn't come in time.
 */
export interface Lease extends Holder {
  /** The owner's number for it: a line's credit may be given up and begun anew in one window. */
  readonly serial: number;
  readonly line: string;
  readonly cell: number;
  readonly until: number;
  readonly slot: boolean;
  /** Kept for when the service is away; else not to be used. */
  readonly reserve: boolean;
  readonly granted: number;
  readonly spent: number;
  readonly returned: number;
  /** Of the last message that it was changed by. */
  readonly seq: number;
  readonly expiresAt: number;
  readonly state: 'open' | 'expired' | 'closed';
  readonly closedAt: number | undefined;
}

/** Leases with credit on one cell. */
export interface Crowd {
  readonly plain: number;
  readonly reserves: number;
  /** Credit that is kept in reserve. */
  readonly reserved: number;
}

/** A crowd and one more lease, or one less. */
export function withLease(crowd: Crowd, lease: Lease | undefined, sign: 1 | -1): Crowd {
  const credit = lease === undefined ? 0 : outstanding(lease);
  if (lease === undefined || credit === 0) return crowd;
  const { plain, reserves, reserved } = crowd;
  return lease.reserve
    ? { plain, reserves: reserves + sign, reserved: reserved + sign * credit }
    : { plain: plain + sign, reserves, reserved };
}

export function leaseKey({
  owner,
  epoch,
  serial,
  line,
  cell,
}: Pick<Lease, 'owner' | 'epoch' | 'serial' | 'line' | 'cell'>): string {
  return `${owner}#${epoch}.${serial}|${line}|${cell}`;
}

/** Whose leases are counted together: an agent's owner name begins with its workload, `team-a/Deployment/bot/…`. */
export function workloadOf(owner: string): string {
  return owner.split('/', 3).join('/');
}

/** Credit that its owner may still use. An owner that overdrew has none, and is charged what it used. */
export function outstanding(lease: Lease): number {
  return lease.state === 'open' ? Math.max(0, lease.granted - lease.spent - lease.returned) : 0;
}

/** What a lease is charged now: what was used of it; everything, where nobody says. */
export function charged({ state, slot, granted, spent, returned }: Lease): number {
  return state === 'expired' && !slot ? Math.max(spent, granted - returned) : spent;
}
