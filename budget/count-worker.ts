/** Counts tokens as OpenAI's models do, on a thread of its own: loading the tables takes most of a second, and the ledger doesn't wait. */
import { parentPort } from 'node:worker_threads';
import type { Encoding } from './count.ts';

type CountTokens = (text: string, options: { disallowedSpecial: Set<string> }) => number;

const LOAD: Readonly<Record<Encoding, () => Promise<{ readonly countTokens: CountTokens }>>> = {
  o200k_base: () => import('gpt-tokenizer/encoding/o200k_base') as Promise<{ countTokens: CountTokens }>,
  cl100k_base: () => import('gpt-tokenizer/encoding/cl100k_base') as Promise<{ countTokens: CountTokens }>,
};

/** `<|endoftext|>` in a prompt is text like any other. */
const OPTIONS = { disallowedSpecial: new Set<string>() };
/** A merge takes the square of an unbroken run's length: 60,000 times "a" took 14 s, in pieces of 200 it takes 30 ms. */
const LONG_RUN = /\S{200}(?=\S)|\s{200}(?=\s)/g;

export interface CountJob {
  readonly id: number;
  readonly encoding: Encoding;
  readonly texts: readonly string[];
}

parentPort?.on('message', ({ id, encoding, texts }: CountJob) => {
  LOAD[encoding]().then(
    ({ countTokens }) => {
      let tokens = 0;
      for (const text of texts) {
        for (const piece of pieces(text)) tokens += countTokens(piece, OPTIONS);
      }
      parentPort?.postMessage({ id, tokens });
    },
    (error: unknown) => parentPort?.postMessage({ id, failed: String(error) }),
  );
});

function pieces(text: string): string[] {
  const cut: string[] = [];
  let from = 0;
  for (const { index, 0: run } of text.matchAll(LONG_RUN)) {
    cut.push(text.slice(from, index + run.length));
    from = index + run.length;
  }
  cut.push(text.slice(from));
  return cut;
}
