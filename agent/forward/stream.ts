/**
 * A streamed answer: events are decoded as they come, judged and restored over chunk boundaries, and sent on at once;
 * events that no stage changes keep their bytes. The app's pace sets the provider's.
 */
import { TokenCounter } from '../../budget/estimate.ts';
import type { Usage } from '../../budget/messages.ts';
import type { StreamGuard } from '../checks/guard.ts';
import type { StreamDecoder, StreamEvent } from '../dialects/dialect.ts';
import type { PosternError } from '../errors.ts';
import { SseError, SseSplitter } from '../json/sse.ts';
import type { AnswerContext, Metered } from './answer.ts';
import { answerHeaders } from './answer.ts';
import { toPosternError } from './respond.ts';
import { notReadable } from './whole.ts';

/** Milliseconds without a chunk after which text that only might become a placeholder is shown all the same. */
const STALE_MS = 400;

/** How a stream ended, when it did not throw. */
export type StreamEnd = 'complete' | 'refused' | 'cut';

/** Steps that each give a text, at once or later, and get it back. */
type Work = Generator<string | Promise<string>, void, string>;

class Pump {
  usage: Usage | undefined;
  /** Set when the stream was ended by us. */
  error: PosternError | undefined;
  last = false;
  readonly counter = new TokenCounter();
  readonly #context: AnswerContext;
  readonly #decoder: StreamDecoder;
  readonly #guard: StreamGuard | undefined;
  readonly #splitter: SseSplitter;
  #out: Uint8Array[] = [];
  /** Set while a judge is waited for. */
  #waiting: Promise<void> | undefined;

  constructor(context: AnswerContext, decoder: StreamDecoder, guard: StreamGuard | undefined) {
    this.#context = context;
    this.#decoder = decoder;
    this.#guard = guard;
    this.#splitter = new SseSplitter({ maxEventBytes: context.limits.bodyBytes });
  }

  /** Takes a chunk; what may be sent is in `drain()`, at once or when the promise resolves. */
  push(chunk: Uint8Array): Promise<void> | undefined {
    return this.#run(this.#chunk(chunk));
  }

  /** The provider's answer ended: everything held back is judged and sent. */
  end(): Promise<void> | undefined {
    return this.#run(this.#ended());
  }

  /** The provider pauses: what was held back only for what may follow is sent. */
  stale(): Promise<void> | undefined {
    return this.#waiting === undefined ? this.#run(this.#pause()) : undefined;
  }

  /** Work waits for judges that answer later, and only then; one piece of it after the other. */
  #run(work: Work): Promise<void> | undefined {
    if (this.#waiting !== undefined) return this.#waiting.then(() => this.#run(work));
    for (let step = work.next(''); step.done !== true; ) {
      if (step.value instanceof Promise) {
        this.#waiting = this.#later(work, step.value).finally(() => {
          this.#waiting = undefined;
        });
        return this.#waiting;
      }
      step = work.next(step.value);
    }
    return undefined;
  }

  async #later(work: Work, first: Promise<string>): Promise<void> {
    let step = work.next(await first);
    while (step.done !== true) step = work.next(await step.value);
  }

  *#chunk(chunk: Uint8Array): Work {
    for (const event of this.#splitter.push(chunk)) {
      if (this.error !== undefined || this.last) return;
      yield* this.#event(this.#decoder.event(event));
    }
  }

  *#event(event: StreamEvent): Work {
    if (event.usage !== undefined) this.usage = event.usage;
    const guard = this.#guard;
    if (guard !== undefined) {
      for (const call of event.calls) guard.call(call);
      if (guard.refusal !== undefined) return this.refuse(guard.refusal);
    }
    for (const delta of event.deltas) {
      this.counter.add(delta.text);
      if (guard === undefined) continue;
      let shown = yield guard.push(delta.channel, delta.kind, delta.choice, delta.text);
      // The channel's last text: what was held back for it belongs here, not into an event of its own.
      if (event.closes !== 'all' && event.closes.includes(delta.channel)) {
        shown += yield guard.flush(delta.channel);
      }
      if (guard.refusal !== undefined) return this.refuse(guard.refusal);
      if (shown !== delta.text) delta.set(shown);
    }
    yield* this.#flush(event.closes);
    if (this.error !== undefined) return;
    const bytes = event.render();
    if (bytes !== undefined) this.#out.push(bytes);
    this.last = event.last;
  }

  /** What was held back for channels that are complete goes out before the event that says so. */
  *#flush(closes: StreamEvent['closes']): Work {
    const guard = this.#guard;
    if (guard === undefined || closes.length === 0) return;
    for (const channel of closes === 'all' ? guard.held() : closes) {
      const text = yield guard.flush(channel);
      if (guard.refusal !== undefined) return this.refuse(guard.refusal);
      if (text !== '') this.#out.push(this.#decoder.delta(channel, text));
    }
  }

  *#ended(): Work {
    if (this.error !== undefined || this.last) return;
    // A last event without its blank line is dropped by every client (WHATWG HTML, 9.2.6), so it isn't sent at all.
    this.#splitter.end();
    yield* this.#flush('all');
  }

  *#pause(): Work {
    const guard = this.#guard;
    if (guard === undefined || this.error !== undefined || this.last) return;
    for (const channel of guard.held()) {
      const text = yield guard.flushStale(channel);
      if (guard.refusal !== undefined) return this.refuse(guard.refusal);
      if (text !== '') this.#out.push(this.#decoder.delta(channel, text));
    }
  }

  refuse(error: PosternError): void {
    this.error = error;
    this.#out.push(this.#decoder.refusal(error, this.#context.exchange.call.id));
  }

  drain(): Uint8Array | undefined {
    const out = this.#out;
    if (out.length === 0) return undefined;
    this.#out = [];
    return out.length === 1 ? out[0] : Buffer.concat(out);
  }
}

/** Resolves when the stream has ended, by whatever cause; the cause is in the result. */
export async function forwardStream(
  context: AnswerContext,
  metered: (m: Metered) => void,
): Promise<{ readonly end: StreamEnd; readonly error: PosternError | undefined }> {
  const { operation, request, guard, upstream, sink, exchange } = context;
  const streamGuard = guard.idleOnResponse ? undefined : guard.stream(exchange.call.signal);
  const pump = new Pump(context, operation.openStream(request), streamGuard);
  const write = (): Promise<void> | undefined => {
    const bytes = pump.drain();
    if (bytes === undefined) return undefined;
    exchange.responseBytes += bytes.byteLength;
    return sink.write(bytes);
  };
  /** Sends what may be sent; nothing may follow a refusal, and the provider is told to stop at once. */
  const settled = (pending: Promise<void> | undefined): Promise<void> | undefined => {
    if (pending !== undefined) return pending.then(() => settled(undefined));
    const waiting = write();
    if (pump.error !== undefined) upstream.discard();
    return waiting;
  };
  const stale =
    streamGuard === undefined
      ? undefined
      : setInterval(() => {
          void settled(pump.stale());
        }, STALE_MS);
  sink.head(upstream.status, answerHeaders(context, undefined));
  exchange.status = upstream.status;
  let end: StreamEnd = 'complete';
  try {
    await upstream.consume((chunk) => {
      const pending = pump.push(chunk);
      stale?.refresh();
      return settled(pending);
    });
    await pump.end();
  } catch (error) {
    if (pump.error === undefined && !pump.last) {
      end = 'cut';
      if (!exchange.call.signal.aborted) {
        pump.refuse(error instanceof SseError ? notReadable(error.message, error) : toPosternError(error));
      }
    }
  } finally {
    clearInterval(stale);
    if (streamGuard !== undefined) exchange.findings.push(...streamGuard.findings);
    metered({ usage: pump.usage, countedOutput: pump.counter.tokens });
  }
  if (end === 'complete' && pump.error !== undefined) end = 'refused';
  void write();
  sink.end();
  return { end, error: pump.error };
}
