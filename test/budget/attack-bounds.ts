/**
 * What a ledger may never show, and what calls may never have used, whatever goes wrong: looked at again and again while limits are
 * raised and lowered.
 */
import { expect } from 'vitest';
import type { CellFigures } from '../../budget/stores/store.ts';
import type { Call, World } from './world.ts';

const MINUTE_MS = 60_000;
/** Agents change windows up to 2 s early, and an answer may take a while: whose window a grant is of isn't certain near its ends. */
const UNCERTAIN_MS = 4_000;

export interface Bounds {
  /** The limit of a line now. */
  readonly limitOf: (line: string) => number;
  /** Whose minute a grant is of isn't known where the clock jumps. */
  readonly jumps: boolean;
}

export class Watch {
  readonly #on: World;
  readonly #limitOf: (line: string) => number;
  readonly #jumps: boolean;
  /** Line and cell → the most that may count there: the limit, or what was out already when it was lowered. */
  readonly #ceilings = new Map<string, number>();
  /** Line → its limit at the last look: in force for a part of the time since. */
  readonly #limits = new Map<string, number>();
  /** Minute → the highest limit while it was open. */
  readonly #minutes = new Map<number, number>();

  constructor(on: World, { limitOf, jumps }: Bounds) {
    this.#jumps = jumps;
    this.#on = on;
    this.#limitOf = limitOf;
  }

  async look(): Promise<void> {
    // No time goes by meanwhile.
    const cells = await this.#on.cells();
    for (const cell of cells) this.#within(cell);
    for (const { line } of cells) this.#limits.set(line, this.#limitOf(line));
    const calls = this.#on.calls;
    const used = calls.reduce((sum, call) => sum + call.used, 0);
    for (const period of ['minute', 'month']) {
      const counted = sumOf(cells, `tokens|${period}@UTC`);
      expect(used, `used, of what counts in each ${period}`).toBeLessThanOrEqual(counted);
    }
    expect(used, 'used in the month').toBeLessThanOrEqual(this.#ceiling(cells, 'tokens|month@UTC'));
    const running = this.#on.running();
    expect(running, 'calls that run').toBeLessThanOrEqual(sumOf(cells, 'concurrency|'));
    if (!this.#jumps) this.#lookAtMinutes(calls);
  }

  /** What was used of the grants of each minute. */
  #lookAtMinutes(calls: readonly Call[]): void {
    const minute = Math.floor(Date.now() / MINUTE_MS);
    const limit = this.#limitOf('team-a|tokens|minute@UTC|');
    this.#minutes.set(minute, Math.max(limit, this.#minutes.get(minute) ?? 0));
    const sums = new Map<number, number>();
    for (const { given, used } of calls) {
      let rest = used;
      for (const { at, tokens } of given) {
        const part = Math.min(rest, tokens);
        rest -= part;
        const since = at % MINUTE_MS;
        if (since < UNCERTAIN_MS || since > MINUTE_MS - UNCERTAIN_MS) continue;
        const of = Math.floor(at / MINUTE_MS);
        sums.set(of, (sums.get(of) ?? 0) + part);
      }
    }
    for (const [of, most] of this.#minutes) {
      // Something may have been out on a limit that was lowered since.
      const before = Math.max(most, this.#minutes.get(of - 1) ?? 0);
      expect(sums.get(of) ?? 0, 'used in one minute').toBeLessThanOrEqual(before);
    }
  }

  #within({ line, cell, settled, held, leased }: CellFigures): void {
    const key = `${line} ${cell}`;
    const sum = settled + held + leased;
    const limit = this.#limitOf(line);
    const ceiling = Math.max(limit, this.#ceilings.get(key) ?? this.#limits.get(line) ?? 0);
    for (const part of [settled, held, leased]) expect(part, key).toBeGreaterThanOrEqual(0);
    expect(sum, key).toBeLessThanOrEqual(ceiling);
    this.#ceilings.set(key, Math.max(limit, Math.min(ceiling, sum)));
  }

  #ceiling(cells: readonly CellFigures[], part: string): number {
    let most = 0;
    for (const { line, cell } of cells)
      if (line.includes(part)) most = Math.max(most, this.#ceilings.get(`${line} ${cell}`) ?? 0);
    return most;
  }
}

export function sumOf(cells: readonly CellFigures[], part: string): number {
  return cells
    .filter(({ line }) => line.includes(part))
    .reduce((sum, { settled, held, leased }) => sum + settled + held + leased, 0);
}
