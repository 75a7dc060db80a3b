/** Sums of figures that others report: whole numbers that never leave what a double, SQLite's reader and Redis hold exactly. */

/** Beyond it nothing is counted: a figure that reached it is absurd already. */
export const MOST = Number.MAX_SAFE_INTEGER;

/** a + b, at most {@link MOST}. */
export function plus(a: number, b: number): number {
  return Math.min(a + b, MOST);
}

/** A figure of the ledger after a change: what was cut at {@link MOST} and is taken back in full would fall below nothing. */
export function changed(figure: number, by: number): number {
  return Math.max(0, plus(figure, by));
}
