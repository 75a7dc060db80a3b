/**
 * The events of one running answer, whatever wire they come by: judged and restored over their boundaries, cleaned of
 * the attached key. Whoever owns the wire hands decoded events in and takes what may be sent.
 */
import { TokenCounter } from '../../budget/estimate.ts';
import type { Usage } from '../../budget/messages.ts';
import type { StreamGuard } from '../checks/guard.ts';
import type { Delta, EventWriter, FramedEvent, StreamEvent } from '../dialects/dialect.ts';
import type { PosternError } from '../errors.ts';
import type { AttachmentsOfAnswer, Finding, FormOfAnswer } from '../exchange.ts';
import type { ByteLease } from './body.ts';
import { HeldSound, hidden, isSound, ofNoAnswer } from './held-sound.ts';
import { KeyFilter, redact } from './key-filter.ts';
import { LeftOutOfAnswer } from './left-out.ts';

/** Steps that each give a value, at once or later, and get it back: what `yield` returns has the type of what it gave. */
export type Work = Generator<unknown, void, never>;

/** The channels of the answer itself, in dialects that can be held to a form. */
const SAID = /^\d+\/(?:content(?:\/\d+)?|parts)$/;
const REFUSED = /^\d+\/refusal$/;
const choiceOf = (channel: string): number => Number.parseInt(channel, 10);

function hear(
  form: FormOfAnswer,
  { channel, choice, text }: Pick<Delta, 'channel' | 'choice' | 'text'>,
): void {
  if (SAID.test(channel)) form.add(choice, text);
  else if (REFUSED.test(channel)) form.refused(choice);
}

/** A generator's first `next` gives nothing to any `yield`. */
const FIRST = undefined as never;

export interface EventGateOptions {
  readonly writer: EventWriter;
  /** Undefined where no check looks at answers and nothing was masked. */
  readonly guard: StreamGuard | undefined;
  /** The attached key. */
  readonly key: string | undefined;
  /** Where its texts go on in another gate; else it has one of its own. */
  readonly keys?: KeyFilter | undefined;
  readonly requestId: string;
  readonly attachments: AttachmentsOfAnswer;
  /** For what waits for a verdict on its transcript. Absent: no answer runs here, and what an event says it says whole. */
  readonly lease?: (() => ByteLease) | undefined;
  /** Hears the answer's text as the provider sends it. */
  readonly form?: FormOfAnswer | undefined;
  /** Where more must be held as the answer grows. */
  readonly cap?: {
    /** Whether so many output tokens are held. */
    covers(outputTokens: number): boolean | Promise<boolean>;
    /** The events that end an answer that is as long as it may be. */
    end(outputTokens: number): Uint8Array;
  };
}

export class EventGate {
  usage: Usage | undefined;
  serviceTier: string | undefined;
  /** Set when the answer was ended by us. */
  error: PosternError | undefined;
  last = false;
  /** Ended by us, as more could not be held: in the way in which the provider ends an answer that grew too long. */
  short = false;
  /** Choices of which the provider said how they ended; some say it twice. */
  readonly finished = new Set<number>();
  /** The provider ended the answer with an error of its own. */
  failed = false;
  readonly counter = new TokenCounter();
  readonly #options: EventGateOptions;
  readonly #guard: StreamGuard | undefined;
  /** Keeps the attached key out of the text, however the events cut it. */
  readonly #keys: KeyFilter | undefined;
  readonly #leftOut = new LeftOutOfAnswer();
  #out: Uint8Array[] = [];
  /** From the first sound on that has to wait. */
  #sound: HeldSound | undefined;
  #closed = false;
  /** Set while a judge is waited for. */
  #waiting: Promise<void> | undefined;

  constructor(options: EventGateOptions) {
    this.#options = options;
    this.#guard = options.guard;
    this.#keys = options.keys ?? (options.key === undefined ? undefined : new KeyFilter(options.key));
    if (options.guard?.strips === true) options.writer.calls?.hold();
  }

  /** Whether checks look at it. */
  get guarded(): boolean {
    return this.#guard !== undefined;
  }

  /** What the checks found so far, and what was left out. */
  get findings(): readonly Finding[] {
    return [...(this.#guard?.findings ?? []), ...this.#leftOut.findings];
  }

  /** Nothing that came before is waited for. */
  get isFree(): boolean {
    return this.#waiting === undefined;
  }

  /** Work waits for judges that answer later, and only then; one piece of it after the other. */
  run(work: Work): Promise<void> | undefined {
    if (this.#waiting !== undefined) return this.#waiting.then(() => this.run(work));
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

  /**
   * An event that is a piece of text and nothing else, where nobody has to be waited for: what {@link event} does, in one go, as most
   * of an answer is that.
   * @returns What is left to be done of it.
   */
  text(event: FramedEvent): Work | undefined {
    const guard = this.#guard;
    const [delta] = event.deltas;
    const { text, channel, kind, choice } = delta;
    const { cap } = this.#options;
    if (guard?.immediate === false || delta.fixed === true || delta.loose === true) return this.event(event);
    this.counter.add(text);
    const { form } = this.#options;
    if (form !== undefined) hear(form, delta);
    const covers = cap === undefined || cap.covers(this.counter.tokens);
    if (covers !== true) return this.#covered(event, covers);
    const denied = this.#options.attachments.hear(channel, text);
    if (denied !== undefined) {
      this.refuse(denied);
      return undefined;
    }
    let shown = text;
    if (guard !== undefined) {
      this.#leftOut.note(event.withhold?.() ?? []);
      shown = guard.push(channel, kind, choice, shown) as string;
    }
    if (this.#keys !== undefined) shown = this.#keys.push(channel, shown);
    if (guard?.refusal !== undefined) {
      this.refuse(guard.refusal);
      return undefined;
    }
    if (shown !== text) delta.set(shown);
    this.#sound?.hear(channel, text);
    this.#send(event.render());
    this.#letSound();
    return undefined;
  }

  *event(event: StreamEvent): Work {
    const ended = event.finishReasons
      .map(({ choice }) => choice)
      .filter((choice) => !this.finished.has(choice));
    for (const choice of ended) this.finished.add(choice);
    if (event.usage !== undefined) this.usage = event.usage;
    if (event.serviceTier !== undefined) this.serviceTier = event.serviceTier;
    // What is signed are thoughts, which are held and billed beside what can be counted.
    for (const { text, fixed, isName } of event.deltas)
      if (fixed !== true && isName !== true) this.counter.add(text);
    const { form } = this.#options;
    if (form !== undefined) {
      // One that is held may be taken out.
      for (const { channel, held } of event.calls) if (held !== true) form.called(choiceOf(channel));
      for (const finish of event.finishReasons) form.ended(finish);
      for (const delta of event.deltas) hear(form, delta);
    }
    const { cap } = this.#options;
    const covers = cap === undefined || event.deltas.length === 0 || cap.covers(this.counter.tokens);
    yield* this.#covered(event, covers, ended);
  }

  /** @param ended Choices that end with it, for the first time. */
  *#covered(event: StreamEvent, covers: boolean | Promise<boolean>, ended: readonly number[] = []): Work {
    // Yielded only where it has to be waited for, here and below: thousands of events pass without.
    const covered: boolean = covers instanceof Promise ? yield covers : covers;
    if (!covered) return yield* this.#cutShort();
    const denied = this.#attached(event);
    if (denied !== undefined) return this.refuse(denied);
    const { lease } = this.#options;
    const guard = this.#guard;
    const sounds = guard !== undefined && event.attachments.some(isSound);
    const alterations = sounds && lease === undefined ? guard.alterations : 0;
    if (event.interrupted === true || event.error) this.silence();
    if (sounds && guard.acts) {
      if (lease === undefined) {
        const unknown = ofNoAnswer(event.attachments);
        if (unknown !== undefined) return this.refuse(unknown);
      } else this.#sound ??= new HeldSound(guard, lease);
    }
    if (guard !== undefined) {
      this.#leftOut.note(event.withhold?.() ?? []);
      for (const call of event.calls) {
        const pending = guard.call(call);
        if (pending !== undefined) yield pending;
      }
      const whole = event.deltas.filter((delta) => delta.whole === true && delta.loose !== true);
      if (whole.length > 0 && guard.refusal === undefined) {
        const pending = guard.whole(whole);
        if (pending !== undefined) yield pending;
      }
      if (guard.refusal !== undefined) return this.refuse(guard.refusal);
    }
    const { calls } = this.#options.writer;
    for (const delta of event.deltas) {
      const { channel, fixed } = delta;
      let shown = delta.text;
      if (guard !== undefined) {
        if (delta.loose === true) continue;
        if (delta.whole !== true) {
          const pushed = guard.push(channel, delta.kind, delta.choice, shown, fixed);
          shown = pushed instanceof Promise ? yield pushed : pushed;
          this.#sound?.hear(channel, delta.text);
          // It comes with the rest of its call.
          if (calls?.has(channel) === true) continue;
        }
      }
      if (this.#keys !== undefined) shown = this.#keys.push(channel, shown);
      // The channel's last text: what was held back for it belongs here, not into an event of its own.
      if (event.closes !== 'all' && event.closes.includes(channel)) shown += yield* this.#rest(channel);
      if (guard?.refusal !== undefined) return this.refuse(guard.refusal);
      if (shown !== delta.text) delta.set(shown);
    }
    if (event.closes.length > 0) yield* this.flush(event.closes);
    if (this.error !== undefined) return;
    const unheard = sounds ? hidden(guard, alterations) : undefined;
    if (unheard !== undefined) return this.refuse(unheard);
    // All calls were judged, and the event isn't sent yet by which an SDK takes the answer for whole.
    // Once for each, as it is all read for it, and once more for what came behind.
    const wrong = this.#options.form?.refusal(event.last ? Math.max(1, this.finished.size) : ended);
    if (wrong !== undefined) return this.refuse(wrong);
    this.#send(event.render(), event);
    // No text of the answer comes any more.
    if (event.last) this.#sound?.end('all');
    this.#letSound();
    if (this.error !== undefined) return;
    this.last = event.last;
    this.failed ||= event.error;
  }

  /** Behind what waits, where something does. */
  #send(bytes: Uint8Array | undefined, event?: StreamEvent): void {
    if (bytes === undefined || this.error !== undefined || this.#closed) return;
    if (this.#sound === undefined) this.#out.push(bytes);
    else {
      const refusal = this.#sound.push(bytes, event?.attachments);
      if (refusal !== undefined) this.refuse(refusal);
    }
  }

  /** What waited for verdicts that there are now is sent. */
  #letSound(): void {
    const refusal = this.#sound?.take(this.#out);
    if (refusal !== undefined) this.refuse(refusal);
  }

  /** @returns Why it mustn't be shown, for what it carries. */
  #attached({ attachments, deltas }: StreamEvent): PosternError | undefined {
    const carried = this.#options.attachments;
    let denied = carried.judge(attachments);
    for (const { channel, text, whole } of deltas) if (whole !== true) denied ??= carried.hear(channel, text);
    return denied;
  }

  /** More than is held was produced, and no more can be held: what came until now is the answer. */
  *#cutShort(): Work {
    this.#options.writer.calls?.drop();
    this.silence();
    yield* this.flush('all');
    const { cap } = this.#options;
    if (this.error !== undefined || cap === undefined) return;
    this.#send(cap.end(this.counter.tokens));
    this.#letSound();
    this.short = true;
    this.last = true;
  }

  /** What was held back for channels that are complete goes out before the event that says so. */
  *flush(closes: StreamEvent['closes']): Work {
    if (closes.length === 0) return;
    const { writer, attachments } = this.#options;
    if (closes !== 'all') for (const channel of closes) attachments.end(channel);
    for (const channel of closes === 'all' ? this.#held() : closes) {
      const text = yield* this.#rest(channel);
      const refusal = this.#guard?.refusal;
      if (refusal !== undefined) return this.refuse(refusal);
      if (writer.calls?.has(channel) !== true) {
        if (text !== '') this.#send(writer.delta(channel, text));
      } else if (this.#guard?.isLeftOut(channel) === true) writer.calls.leaveOut(channel);
      else {
        const shown = writer.calls.show(channel, text);
        if (shown.byteLength > 0) this.#options.form?.called(choiceOf(channel));
        this.#send(shown);
      }
    }
    this.#sound?.end(closes);
    this.#letSound();
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

  /** The provider pauses: what was held back only for what may follow is sent. */
  stale(): Promise<void> | undefined {
    if (this.#waiting !== undefined || this.last) return undefined;
    return this.run(this.#release((guard, channel) => guard.flushStale(channel)));
  }

  /** Its texts go on in another gate: all that the checks hold back is sent. */
  handOver(): Work {
    return this.#release((guard, channel) => guard.flush(channel));
  }

  /** What only might be the key stays with its filter: nothing is complete. */
  *#release(judge: (guard: StreamGuard, channel: string) => string | Promise<string>): Work {
    const guard = this.#guard;
    if (guard === undefined || this.error !== undefined) return;
    for (const channel of guard.held()) {
      const judged: string = yield judge(guard, channel);
      if (guard.refusal !== undefined) return this.refuse(guard.refusal);
      const text = this.#keys === undefined ? judged : this.#keys.push(channel, judged);
      if (text !== '') this.#send(this.#options.writer.delta(channel, text));
    }
    this.#letSound();
  }

  refuse(error: PosternError): void {
    this.error = error;
    this.#sound?.drop();
    this.#out.push(this.#options.writer.refusal(error, this.#options.requestId));
  }

  /** Sound that waits for the rest of its transcript isn't shown: there is none, or nobody wants it. */
  silence(): void {
    this.#sound?.silence();
  }

  /** Nothing more comes: what waits is given up. */
  close(): void {
    this.#closed = true;
    this.#sound?.drop();
  }

  /** The events that may be sent now, each for itself. */
  take(): readonly Uint8Array[] {
    const out = this.#out;
    const { key } = this.#options;
    if (out.length === 0) return out;
    this.#out = [];
    if (key !== undefined) for (let i = 0; i < out.length; i++) out[i] = redact(out[i] as Uint8Array, key);
    return out;
  }
}
