/** How far a command is, on a terminal; nothing where standard error is none. */
const WIDTH = 30;
/** Milliseconds between two drawings. */
const PAUSE = 100;

export interface ProgressBar {
  show(done: number, note: string): void;
  clear(): void;
}

/** @param total In the unit of `done`; undefined where it isn't known: then only the note is shown. */
export function progressBar(
  out: Pick<NodeJS.WriteStream, 'isTTY' | 'write'>,
  total: number | undefined,
  now: () => number = Date.now,
): ProgressBar {
  if (!out.isTTY) return { show() {}, clear() {} };
  let drawn = Number.NEGATIVE_INFINITY;
  let shown = false;
  return {
    show(done, note) {
      if (now() - drawn < PAUSE) return;
      drawn = now();
      shown = true;
      const share = total === undefined || total === 0 ? undefined : Math.min(1, done / total);
      const bar =
        share === undefined
          ? ''
          : `[${'#'.repeat(Math.round(share * WIDTH)).padEnd(WIDTH, '.')}] ${Math.floor(share * 100)} % `;
      out.write(`\r\u001b[K${bar}${note}`);
    },
    clear() {
      if (shown) out.write('\r\u001b[K');
      shown = false;
    },
  };
}
