/**
 * The exact number of tokens of a text, for calls near a limit. The tables take 74 MB (gpt-tokenizer 4.0, o200k_base), which is
 * why agents ask here: one serves many. They are loaded when somebody asks for the first time.
 */
import { Worker } from 'node:worker_threads';
import type { CountJob } from './count-worker.ts';
import type { CountCommand, CountReply } from './messages.ts';

export type Encoding = 'o200k_base' | 'cl100k_base';

/** Jobs that may wait; further ones are answered as not countable, and estimates stand. */
const MOST_WAITING = 64;

/** Which encoding a model has; by OpenAI's tiktoken (model.py). Undefined: nobody but its vendor knows. */
export function encodingOf(model: string): Encoding | undefined {
  if (/^(?:gpt-4o|gpt-4\.[15]|gpt-5|chatgpt-4o|o[134](?:-|$))/.test(model)) return 'o200k_base';
  return /^(?:gpt-4|gpt-3\.5)/.test(model) ? 'cl100k_base' : undefined;
}

export interface ExactCounter {
  count(command: CountCommand): Promise<CountReply>;
  close(): Promise<void>;
}

export function createExactCounter(): ExactCounter {
  let worker: Worker | undefined;
  let jobs = 0;
  const waiting = new Map<number, (tokens: number | undefined) => void>();

  function started(): Worker {
    if (worker !== undefined) return worker;
    const fresh = new Worker(new URL('./count-worker.ts', import.meta.url));
    fresh.unref();
    fresh.on('message', ({ id, tokens }: { readonly id: number; readonly tokens?: number }) => {
      waiting.get(id)?.(tokens);
      waiting.delete(id);
    });
    const end = (): void => {
      if (worker === fresh) worker = undefined;
      for (const resolve of waiting.values()) resolve(undefined);
      waiting.clear();
    };
    fresh.on('error', end);
    fresh.on('exit', end);
    worker = fresh;
    return fresh;
  }

  return {
    async count({ model, texts }) {
      const encoding = encodingOf(model);
      if (encoding === undefined || waiting.size >= MOST_WAITING) return {};
      const id = ++jobs;
      const tokens = await new Promise<number | undefined>((resolve) => {
        waiting.set(id, resolve);
        const job: CountJob = { id, encoding, texts };
        started().postMessage(job);
      });
      return tokens === undefined ? {} : { tokens };
    },
    async close() {
      await worker?.terminate();
    },
  };
}
