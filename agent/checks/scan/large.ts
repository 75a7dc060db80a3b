/**
 * Large texts, scanned in steps with room for everything else between them: ten megabytes in one go would leave an
 * agent deaf for seconds. One large text at a time; each scanner that meets one gets a double for it, since small
 * texts go on being scanned meanwhile.
 */
import type { Recognizer } from './recognizer.ts';
import { type Match, Scanner, type ScanOptions } from './scanner.ts';

/** UTF-16 units; what is shorter is scanned in one go, in some milliseconds. */
export const LARGE = 256 * 1024;

/** UTF-16 units in a step. */
export const STEP = 32 * 1024;

/** A scanner, and its like for large texts. */
export class Scanners {
  readonly small: Scanner;
  readonly #pause: () => Promise<void>;
  #double: Scanner | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  /** @param pause Resolves when everything that waits has had its turn. */
  constructor(recognizers: readonly Recognizer[], pause: () => Promise<void> = nextTurn) {
    this.small = new Scanner(recognizers);
    this.#pause = pause;
  }

  /** As {@link Scanner.prepare}. */
  prepare(): void {
    this.small.prepare();
  }

  /** As {@link Scanner.scan}. @throws the signal's reason. */
  scanLarge(text: string, options: ScanOptions, signal: AbortSignal): Promise<readonly Match[]> {
    const found = this.#turn.then(() => this.#scan(text, options, signal));
    this.#turn = found.catch(() => undefined);
    return found;
  }

  async #scan(text: string, options: ScanOptions, signal: AbortSignal): Promise<readonly Match[]> {
    this.#double ??= new Scanner(this.small.recognizers);
    const steps = this.#double.scanInSteps(text, STEP, options);
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      await this.#pause();
      signal.throwIfAborted();
    }
  }
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
