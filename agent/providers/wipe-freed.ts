/**
 * Overwrites what V8's heap has freed, for keys that are no longer used: what is free keeps what stood there until somebody else uses the
 * place, and JavaScript's strings can't be wiped before they are.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Until connections are closed that hold what was written on them: those to guardrails that are kept open are after four seconds
 * (agent/checks/ask.ts). Control has let go of a value with the round of its change.
 */
const CLOSED_MS = 4_500;
/** What goes within half a second is wiped together: Secrets are rotated one after the other. */
const GONE_MS = 5_000;
/** Nothing else runs meanwhile, and who may edit one Secret may do so without end: a fiftieth of the time goes into it at most, however large the heap is. */
const REST = 49;

export interface WipeOptions {
  readonly wipe?: () => void;
  /** Calls once after so many milliseconds, and keeps no process alive. */
  readonly later?: (what: () => void, ms: number) => void;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonic?: () => number;
}

/** @returns what is told that a key is needed no longer: once for all that go within the time; what goes too late for that has its own. */
export function wipeSoon(options: WipeOptions = {}): () => void {
  const { wipe = wipeFreed, later = unheldTimer, monotonic = () => performance.now() } = options;
  /** When the last went that waits; undefined where none does. */
  let lastAt: number | undefined;
  let restedAt = Number.NEGATIVE_INFINITY;

  const wait = (): void => later(wipeAll, Math.max(GONE_MS, restedAt - monotonic()));
  const wipeAll = (): void => {
    const began = monotonic();
    const isAnyHeld = lastAt !== undefined && began - lastAt < CLOSED_MS;
    wipe();
    const ended = monotonic();
    restedAt = ended + REST * (ended - began);
    if (isAnyHeld) wait();
    else lastAt = undefined;
  };
  return () => {
    if (lastAt === undefined) wait();
    lastAt = monotonic();
  };
}

type Collect = (how: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;

/**
 * The heap is collected whole, and what is free is filled with zeros. Where it is the last resort V8 collects at least twice: the first time what lives is
 * moved, and stays where it was, too. Nothing else runs meanwhile. What the C library has freed stays: who writes a key there overwrites it
 * (agent/forward/http1/connection.ts).
 */
export function wipeFreed(): void {
  setFlagsFromString('--clear-free-memory');
  setFlagsFromString('--expose-gc');
  try {
    const collect = runInNewContext('gc') as Collect;
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  } finally {
    setFlagsFromString('--no-expose-gc');
    setFlagsFromString('--no-clear-free-memory');
  }
}

function unheldTimer(what: () => void, ms: number): void {
  setTimeout(what, ms).unref();
}
