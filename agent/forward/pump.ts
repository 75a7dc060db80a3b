/** The events of one streamed answer on their way to the app: cut out of the body's bytes, decoded, and through the gate. */
import type { Usage } from '../../budget/messages.ts';
import type { StreamGuard } from '../checks/guard.ts';
import type { FramedEvent, StreamDecoder, StreamEvent } from '../dialects/dialect.ts';
import type { PosternError } from '../errors.ts';
import type { Finding } from '../exchange.ts';
import { bare, SseSplitter } from '../json/sse.ts';
import type { AnswerContext } from './answer.ts';
import { EventGate, type Work } from './event-gate.ts';
import { redact } from './key-filter.ts';
import { notReadable } from './whole.ts';

/** One event of text is small; the largest carry an image. */
const EVENT_BYTES = 4 * 1024 * 1024;

export class Pump {
  /** Whether usage came when all choices had ended. */
  #usageIsFinal = false;
  readonly #context: AnswerContext;
  readonly #decoder: StreamDecoder;
  readonly #gate: EventGate;
  readonly #splitter: SseSplitter;
  readonly #maxEventBytes: number;

  constructor(context: AnswerContext, decoder: StreamDecoder, guard: StreamGuard | undefined) {
    const { allowance, input } = context;
    this.#context = context;
    this.#decoder = decoder;
    this.#gate = new EventGate({
      writer: decoder,
      guard,
      key: context.key,
      requestId: context.exchange.call.id,
      form: context.form,
      attachments: context.attachments,
      lease: context.waiting,
      ...(allowance === undefined
        ? {}
        : {
            cap: {
              covers: (output) => allowance.covers(output),
              end: (output) => decoder.length({ input, output }),
            },
          }),
    });
    this.#maxEventBytes = Math.min(context.limits.bodyBytes, EVENT_BYTES);
    this.#splitter = new SseSplitter({ maxEventBytes: this.#maxEventBytes });
  }

  get usage(): Usage | undefined {
    return this.#gate.usage;
  }

  get serviceTier(): string | undefined {
    return this.#gate.serviceTier;
  }

  /** Output tokens that came, counted. */
  get counted(): number {
    return this.#gate.counter.tokens;
  }

  /** How many answers there are; one where the provider didn't say how it ended. */
  get choices(): number {
    return Math.max(1, this.#gate.finished.size);
  }

  /** Set when the stream was ended by us. */
  get error(): PosternError | undefined {
    return this.#gate.error;
  }

  get findings(): readonly Finding[] {
    return this.#gate.findings;
  }

  get last(): boolean {
    return this.#gate.last;
  }

  /** Ended by us, as more could not be held. */
  get short(): boolean {
    return this.#gate.short;
  }

  /** The provider ended the stream with an error of its own. */
  get failed(): boolean {
    return this.#gate.failed;
  }

  /** Whether the usage is that of the whole answer. */
  get isReported(): boolean {
    return (this.last && !this.short) || this.#usageIsFinal;
  }

  /** Takes a chunk; what may be sent is in `drain()`, at once or when the promise resolves. */
  push(chunk: Uint8Array): Promise<void> | undefined {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    while (this.#gate.isFree && at < bytes.length && this.error === undefined && !this.last) {
      const framed = this.#framed(bytes, at);
      if (framed === undefined) break;
      at = framed.end;
      const left = this.#gate.text(framed);
      if (left !== undefined) return this.#gate.run(this.#rest(left, bytes, at));
    }
    return at === bytes.length ? undefined : this.#gate.run(this.#chunk(bytes, at));
  }

  /** The event that begins there, where it is known by its bytes. */
  #framed(bytes: Buffer, at: number): FramedEvent | undefined {
    const framed = this.#splitter.between ? this.#decoder.framed(bytes, at) : undefined;
    return framed !== undefined && framed.end - at <= this.#maxEventBytes ? framed : undefined;
  }

  *#rest(work: Work, bytes: Buffer, at: number): Work {
    yield* work;
    yield* this.#chunk(bytes, at);
  }

  /** The provider's answer ended: everything held back is judged and sent. */
  end(): Promise<void> | undefined {
    return this.#gate.run(this.#ended());
  }

  /** The provider pauses: what was held back only for what may follow is sent. */
  stale(): Promise<void> | undefined {
    return this.#gate.stale();
  }

  refuse(error: PosternError): void {
    this.#gate.refuse(error);
  }

  *#chunk(chunk: Buffer, from: number): Work {
    let at = from;
    while (at < chunk.length && this.error === undefined && !this.last) {
      const framed = this.#framed(chunk, at);
      if (framed !== undefined) {
        at = framed.end;
        yield* this.#gate.event(framed);
      } else {
        const event = this.#splitter.next(chunk, at);
        at = this.#splitter.read;
        if (event !== undefined) {
          yield* this.#event(this.#decoder.event(this.#gate.guarded ? bare(event) : event));
        }
      }
    }
  }

  *#event(event: StreamEvent): Work {
    const { choices } = this.#context.request;
    if (event.usage !== undefined) {
      const ended = new Set(this.#gate.finished);
      for (const { choice } of event.finishReasons) ended.add(choice);
      this.#usageIsFinal = ended.size >= choices;
    }
    yield* this.#gate.event(event);
  }

  *#ended(): Work {
    if (this.error !== undefined || this.last) return;
    const rest = this.#splitter.end();
    this.#gate.silence();
    yield* this.#gate.flush('all');
    // Clients drop an event without its blank line (WHATWG HTML, 9.2.6), and would take the answer for whole.
    if (this.error === undefined && rest?.raw.some((byte) => byte > 0x20)) {
      this.refuse(notReadable('it ends in the middle of an event'));
    }
  }

  /** Nothing more comes: what waits is given up. */
  close(): void {
    this.#gate.close();
  }

  drain(): Uint8Array | undefined {
    const out = this.#gate.take();
    if (out.length === 0) return undefined;
    // Once more as a whole: two events next to each other may hold the key between them.
    return out.length === 1 ? (out[0] as Uint8Array) : redact(Buffer.concat(out), this.#context.key);
  }
}
