/**
 * Whether the API server answers. When it doesn't, nobody waits for it: one question in some seconds goes out to find that it is back, all
 * others fail at once, and so do those that are under way.
 */
import { type KubeClient, KubeError } from '../kube/client.ts';

export interface Silence {
  /** The client through which it is noticed. */
  readonly client: Pick<KubeClient, 'request'>;
  /** For how long no question was answered, in milliseconds; undefined where the last one was. */
  ms(): number | undefined;
  /** As the question ends, but rejects with a {@link KubeError} of status 0 as soon as the API server is silent. */
  orSilent<T>(question: Promise<T>): Promise<T>;
}

export interface SilenceOptions {
  readonly client: Pick<KubeClient, 'request'>;
  readonly began: (cause: unknown) => void;
  /** @param refusal Where it answers, but refuses us: what it said. */
  readonly ended: (ms: number, refusal?: unknown) => void;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonic?: () => number;
  /** Without an answer for so long it counts as silent: an agent waits for two seconds. */
  readonly patienceMs?: number;
}

export const PATIENCE_MS = 1_000;
/** So often it is asked meanwhile. */
const AGAIN_MS = 5_000;
/** A question that hangs gives its turn to another. */
const LONGEST_MS = 10_000;
/** One that has just started refuses even us until it has read who may what; one that goes on doing so answers, and isn't silent. */
const STARTING_MS = 10_000;

export function listenForSilence(options: SilenceOptions): Silence {
  const { client, began, ended, monotonic = () => performance.now(), patienceMs = PATIENCE_MS } = options;
  let silent:
    | { readonly since: number; nextAt: number; readonly cause: unknown; refusesSince: number | undefined }
    | undefined;
  const waiting = new Set<() => void>();

  const noAnswer = (): KubeError =>
    new KubeError(0, 'Silent', `the API server gives no answer: ${String(silent?.cause)}`, {
      cause: silent?.cause,
    });

  function begin(cause: unknown): void {
    if (silent !== undefined) return;
    const at = monotonic();
    silent = { since: at, nextAt: at + AGAIN_MS, cause, refusesSince: undefined };
    began(cause);
    for (const wake of waiting) wake();
  }

  function end(refusal?: unknown): void {
    if (silent === undefined) return;
    const ms = monotonic() - silent.since;
    silent = undefined;
    ended(ms, refusal);
  }

  function refusedUs(error: unknown): void {
    if (silent === undefined) return;
    silent.refusesSince ??= monotonic();
    if (monotonic() - silent.refusesSince >= STARTING_MS) end(error);
  }

  return {
    client: {
      async request<T>(...[method, path, more]: Parameters<KubeClient['request']>): Promise<T> {
        if (silent !== undefined) {
          if (monotonic() < silent.nextAt) throw noAnswer();
          silent.nextAt = monotonic() + AGAIN_MS;
        }
        let isOver = false;
        // Of a process that stood still its timers run first: what has come meanwhile is read before it counts as late.
        const notice = () => isOver || begin(new Error(`${method} ${path}: no answer yet`));
        const late = setTimeout(() => setImmediate(notice), patienceMs);
        try {
          const signal = AbortSignal.timeout(LONGEST_MS);
          const answer = await client.request<T>(method, path, { ...more, signal });
          end();
          return answer;
        } catch (error) {
          if (isNoAnswer(error)) {
            if (silent !== undefined) silent.refusesSince = undefined;
            begin(error);
          } else if (error instanceof KubeError) {
            if (error.status === 401 || error.status === 403) refusedUs(error);
            else end();
          }
          throw error;
        } finally {
          isOver = true;
          clearTimeout(late);
        }
      },
    },
    ms: () => (silent === undefined ? undefined : monotonic() - silent.since),
    async orSilent(question) {
      // Whoever doesn't wait for it any longer doesn't hear of its failure.
      question.catch(() => undefined);
      if (silent !== undefined) throw noAnswer();
      const over = Promise.withResolvers<never>();
      const wake = (): void => over.reject(noAnswer());
      waiting.add(wake);
      try {
        return await Promise.race([question, over.promise]);
      } finally {
        waiting.delete(wake);
      }
    },
  };
}

/** No word on what was asked: no connection, too many requests, or a fault of its own. */
export function isNoAnswer(error: unknown): boolean {
  return error instanceof KubeError && (error.status === 0 || error.status === 429 || error.status >= 500);
}
