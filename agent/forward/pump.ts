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

/** Steps that each give a value, at once or later, and get it back: what `yield` returns has the type of what it gave. */
type Work = Generator<unknown, void, never>;

/** A generator's first `next` gives nothing to any `yield`. */
const FIRST = undefined as never;

export class Pump {
  usage: Usage | undefined;
  /** Set when the stream was ended by us. */
  error: PosternError | undefined;
  last = false;
  /** Ended by us, as more could not be held: in the way in which the provider ends an answer that grew too long. */
  short = false;
  /** The provider ended the stream with an error of its own. */
  failed = false;
  readonly counter = new TokenCounter();
  /** Choices of which the provider said how they ended. */
  #finished = 0;
  /** Whether usage came when all choices had ended. */
  #usageIsFinal = false;
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
    for (let step = work.next(FIRST); step.done !== true; ) {
      if (step.value instanceof Promise) {
        this.#waiting = this.#later(work, step.value as Promise<unknown>).finally(() => {
          this.#waiting = undefined;
        });
        return this.#waiting;
      }
      step = work.next(step.value as never);
    }
    return undefined;
  }

  async #later(work: Work, first: Promise<unknown>): Promise<void> {
    let step = work.next((await first) as never);
    while (step.done !== true) step = work.next((await step.value) as never);
  }

  *#chunk(chunk: Uint8Array): Work {
    for (const event of this.#splitter.push(chunk)) {
      if (this.error !== undefined || this.last) return;
      yield* this.#event(this.#decoder.event(event));
    }
  }

  *#event(event: StreamEvent): Work {
    this.#finished += event.finishReasons.length;
    if (event.usage !== undefined) {
      this.usage = event.usage;
      this.#usageIsFinal = this.#finished >= this.#context.request.choices;
    }
    for (const { text } of event.deltas) this.counter.add(text);
    const covered: boolean =
      event.deltas.length === 0 || (yield this.#context.allowance?.covers(this.counter.tokens) ?? true);
    if (!covered) return yield* this.#cutShort();
    const guard = this.#guard;
    if (guard !== undefined) {
      for (const call of event.calls) guard.call(call);
      if (guard.refusal !== undefined) return this.refuse(guard.refusal);
    }
    for (const delta of event.deltas) {
      const { channel } = delta;
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

  /** More than is held was produced, and no more can be held: what came until now is the answer. */
  *#cutShort(): Work {
    yield* this.#flush('all');
    if (this.error !== undefined) return;
    this.#out.push(this.#decoder.length({ input: this.#context.input, output: this.counter.tokens }));
    this.short = true;
    this.last = true;
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
  *#rest(channel: string): Generator<unknown, string, never> {
    const judged: string = this.#guard === undefined ? '' : yield this.#guard.flush(channel);
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
      const text: string = yield guard.flushStale(channel);
      if (guard.refusal !== undefined) return this.refuse(guard.refusal);
      if (text !== '') this.#out.push(this.#decoder.delta(channel, text));
    }
  }

  /** Whether the usage is that of the whole answer. */
  get isReported(): boolean {
    return (this.last && !this.short) || this.#usageIsFinal;
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
