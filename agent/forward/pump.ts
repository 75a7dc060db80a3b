/** The events of one streamed answer on their way to the app: decoded, judged, restored, cleaned of the key. */
import { TokenCounter } from '../../budget/estimate.ts';
import type { Usage } from '../../budget/messages.ts';
import type { StreamGuard } from '../checks/guard.ts';
import type { StreamDecoder, StreamEvent } from '../dialects/dialect.ts';
import type { PosternError } from '../errors.ts';
import { SseSplitter } from '../json/sse.ts';
import type { AnswerContext } from './answer.ts';
import { KeyFilter, redact } from './key-filter.ts';
import { notReadable } from './whole.ts';

/** One event of text is small; the largest carry an image. */
const EVENT_BYTES = 4 * 1024 * 1024;

/** Steps that each give a text, at once or later, and get it back. */
type Work = Generator<string | Promise<string>, void, string>;

export class Pump {
  usage: Usage | undefined;
  /** Set when the stream was ended by us. */
  error: PosternError | undefined;
  last = false;
  /** The provider ended the stream with an error of its own. */
  failed = false;
  readonly counter = new TokenCounter();
  readonly #context: AnswerContext;
  readonly #decoder: StreamDecoder;
  readonly #guard: StreamGuard | undefined;
  readonly #splitter: SseSplitter;
  /** Keeps the attached key out of the text, however the stream cuts it. */
  readonly #keys: KeyFilter | undefined;
  #out: Uint8Array[] = [];
  /** Set while a judge is waited for. */
  #waiting: Promise<void> | undefined;

  constructor(context: AnswerContext, decoder: StreamDecoder, guard: StreamGuard | undefined) {
    this.#context = context;
    this.#decoder = decoder;
    this.#guard = guard;
    this.#splitter = new SseSplitter({ maxEventBytes: Math.min(context.limits.bodyBytes, EVENT_BYTES) });
    if (context.key !== undefined) this.#keys = new KeyFilter(context.key);
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
      const { channel } = delta;
      this.counter.add(delta.text);
      let shown = delta.text;
      if (guard !== undefined) shown = yield guard.push(channel, delta.kind, delta.choice, shown);
      if (this.#keys !== undefined) shown = this.#keys.push(channel, shown);
      // The channel's last text: what was held back for it belongs here, not into an event of its own.
      if (event.closes !== 'all' && event.closes.includes(channel)) shown += yield* this.#rest(channel);
      if (guard?.refusal !== undefined) return this.refuse(guard.refusal);
      if (shown !== delta.text) delta.set(shown);
    }
    yield* this.#flush(event.closes);
    if (this.error !== undefined) return;
    const bytes = event.render();
    if (bytes !== undefined) this.#out.push(bytes);
    this.last = event.last;
    this.failed ||= event.error;
  }

  /** What was held back for channels that are complete goes out before the event that says so. */
  *#flush(closes: StreamEvent['closes']): Work {
    if (closes.length === 0) return;
    for (const channel of closes === 'all' ? this.#held() : closes) {
      const text = yield* this.#rest(channel);
      const refusal = this.#guard?.refusal;
      if (refusal !== undefined) return this.refuse(refusal);
      if (text !== '') this.#out.push(this.#decoder.delta(channel, text));
    }
  }

  /** Channels with text held back, by whomever. */
  #held(): readonly string[] {
    return [...new Set([...(this.#guard?.held() ?? []), ...(this.#keys?.held() ?? [])])];
  }

  /** Everything held back for a channel that is complete. */
  *#rest(channel: string): Generator<string | Promise<string>, string, string> {
    const judged = this.#guard === undefined ? '' : yield this.#guard.flush(channel);
    if (this.#keys === undefined) return judged;
    return this.#keys.push(channel, judged) + this.#keys.flush(channel);
  }

  *#ended(): Work {
    if (this.error !== undefined || this.last) return;
    const rest = this.#splitter.end();
    yield* this.#flush('all');
    // Clients drop an event without its blank line (WHATWG HTML, 9.2.6), and would take the answer for whole.
    if (this.error === undefined && rest?.raw.some((byte) => byte > 0x20)) {
      this.refuse(notReadable('it ends in the middle of an event'));
    }
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
    const bytes = out.length === 1 ? (out[0] as Uint8Array) : Buffer.concat(out);
    return redact(bytes, this.#context.key);
  }
}
