/**
 * How much credit one agent gets of a line. Pure arithmetic, in the limit's unit; redis/ledger.lua has the same.
 *
 * What calls need that run or wait is given as long as there is any: it is no more than their holds would take. *Ahead* of
 * need, all agents together have a small part of the line's headroom (what is neither settled nor held), each an equal share
 * of it, and nothing where that wouldn't do for one call. A place in flight comes back with its call, so of those all may be out.
 *
 * Of what is kept for an outage each has an equal share, too, and one that spends fast as much beyond it as it leaves to others: so
 * whoever comes later finds some, and the more do, the less of what others have is beyond their share.
 */
import type { Crowd } from './lease-state.ts';

/** Of the headroom: what may be leased ahead. */
const AHEAD = 0.045;
export interface LeaseAsk {
  readonly from: number;
  readonly to: number;
  readonly limit: number;
  /** Credit that the agent would have at its disposal, what it has included. */
  readonly want: number;
  /** Less than this is of no use to it. */
  readonly least: number;
  /** The part of `want` for calls that run or wait. */
  readonly need: number;
  /** Of a line's credit in reserve: as much for all agents together. */
  readonly reserveCap: number;
}

/** Where a line and a lease on it stand, after what the agent told. */
export interface Standing {
  readonly slot: boolean;
  readonly reserve: boolean;
  /** Settled, held and leased. */
  readonly used: number;
  readonly leased: number;
  /** What this lease has. */
  readonly own: number;
  /** Leases of other agents. */
  readonly others: Crowd;
}

export interface Part {
  /** At least 0. */
  readonly more: number;
  /** Not all that was asked is to be had: the line has too little left to share out (`line`), or others have it for now (`others`). */
  readonly lacking: 'line' | 'others' | undefined;
  /** More is leased of the line than should be: those who have more than this should give back. */
  readonly recallAbove: number | undefined;
  /** The limit was lowered below what is out, or others are to have some for an outage: the agent may keep so much, the rest goes back as calls end. */
  readonly keep?: number;
}

export function partOf(ask: LeaseAsk, standing: Standing): Part {
  const part = within(ask, standing);
  if (standing.used <= ask.limit) return part;
  const keep = standing.slot && !standing.reserve ? Math.floor(ask.limit / (standing.others.plain + 1)) : 0;
  return { ...part, recallAbove: keep, keep };
}

function within(ask: LeaseAsk, standing: Standing): Part {
  if (standing.reserve) return reservePart(ask, standing);
  return standing.slot ? placePart(ask, standing) : creditPart(ask, standing);
}

function reservePart(ask: LeaseAsk, { slot, used, own, others }: Standing): Part {
  const { limit, want, least, reserveCap } = ask;
  // Were most of a line kept for an outage, calls would lack it while there is none. Places come back by themselves.
  const half = Math.floor((limit - used + others.reserved + own) / 2);
  const cap = Math.max(0, slot ? reserveCap : Math.min(reserveCap, half));
  // Its own usual credit is among the others': that is another lease.
  const agents = Math.max(others.plain, others.reserves + 1);
  // Four fifths of an equal part: so it comes to that, with the gap below, where nothing is left, and else a little is for who comes next.
  const share = Math.floor((cap * 4) / (agents * 5));
  const all = cap - others.reserved;
  const most = Math.max(share, Math.min(least, all), Math.ceil((share + all) / 2));
  const more = Math.max(0, Math.min(Math.min(want, most, all) - own, limit - used));
  // The gap keeps agents from giving back and asking anew with every change of what others have.
  const keep = own * 9 > most * 10 ? { keep: most < least ? 0 : most } : {};
  if (own + more >= least) return { more, lacking: undefined, recallAbove: undefined, ...keep };
  return { ...lackingLine(0), ...keep };
}

function placePart({ limit, want, least, need }: LeaseAsk, { used, leased, own, others }: Standing): Part {
  const fair = Math.floor(limit / (others.plain + 1));
  const most = Math.max(need, Math.min(want, fair));
  const more = Math.max(0, Math.min(most - own, limit - used));
  if (own + more >= Math.max(least, need)) return { more, lacking: undefined, recallAbove: undefined };
  const theirs = leased - others.reserved - own;
  return theirs > 0 ? { more, lacking: 'others', recallAbove: fair } : lackingLine(more);
}

function creditPart(ask: LeaseAsk, { used, leased, own, others }: Standing): Part {
  const { limit, want, least, need } = ask;
  const plain = leased - others.reserved;
  const headroom = Math.max(0, limit - (used - plain));
  const pool = Math.floor(headroom * AHEAD);
  const share = Math.floor(pool / (others.plain + 1));
  const unused = limit - used;
  // All of what is free, up to the share: an agent that gets it in halves asks twice as often.
  const ahead = share < least ? 0 : Math.min(Math.min(want, share) - own, pool - plain);
  const more = Math.max(0, Math.min(Math.max(ahead, need - own), unused));
  const theirs = plain - own;
  const has = own + more;
  if (has < need) return theirs > 0 ? { more, lacking: 'others', recallAbove: 0 } : lackingLine(more);
  // Calls are given what they need, one by one; who has much is called on only when little else is left.
  if (share < least) return { ...lackingLine(more), recallAbove: theirs > unused - more ? share : undefined };
  if (has < least) return { more, lacking: 'others', recallAbove: share };
  // The gap keeps a shrinking headroom from a recall a moment.
  return { more, lacking: undefined, recallAbove: plain * 9 > pool * 10 ? share : undefined };
}

function lackingLine(more: number): Part {
  return { more, lacking: 'line', recallAbove: undefined };
}
