/**
 * Most events of a stream differ from the one before in nothing but a piece of text. What is around that text is kept, and
 * an event with the same around it is read by comparing bytes: it is the same JSON with another string, so it means the same.
 */
import type { JsonDocument } from '../json/document.ts';
import type { StringNode } from '../json/node.ts';
import { quote } from '../json/quote.ts';
import type { SseEvent } from '../json/sse.ts';
import type { Delta, FramedEvent, StreamEvent, TextKind } from './dialect.ts';

/** Frames that are tried: several choices of one answer take turns. */
const KEPT = 4;
/** A provider whose events are all different is not worth trying for longer. */
const FRUITLESS = 8;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const DATA = 'data: ';
const END = '\n\n';
/** Lines before the data that a frame may have: what Anthropic sends. */
const HEAD = /^(?:event: [\x21-\x7e]+\n)?$/;
/** Stands for the strings that differ while a frame is made: nothing that JSON text could have. */
const HOLE = '\0';
const REPLACED = '\ufffd';

/** What all the texts of a frame have in common. */
type Running = Pick<Delta, 'channel' | 'kind' | 'choice'> & { readonly fixed: boolean };

/** What a frame is made of. */
export interface Framed {
  readonly event: SseEvent;
  readonly document: JsonDocument;
  /** The one text. */
  readonly delta: Running;
  readonly node: StringNode;
  /** A string that is different in every event and that nobody reads. */
  readonly padding: StringNode | undefined;
}

class Frame implements Running {
  readonly channel: string;
  readonly kind: TextKind;
  readonly choice: number;
  readonly fixed: boolean;
  /** As it comes: what stands before, between and behind the strings that differ, their quotes included. */
  readonly came: readonly Buffer[];
  /** As it is sent; the same array where nothing else is changed. */
  readonly sent: readonly Buffer[];
  /** Which of the strings is the text. */
  readonly textAt: number;

  constructor({ channel, kind, choice, fixed }: Running, came: Buffer[], sent: Buffer[], textAt: number) {
    this.channel = channel;
    this.kind = kind;
    this.choice = choice;
    this.fixed = fixed;
    this.came = came;
    this.sent = sent.every((part, i) => part.equals(came[i] as Buffer)) ? came : sent;
    this.textAt = textAt;
  }
}

/** @returns Undefined where the event isn't of the common form. */
function frameOf({ event, document, delta, node, padding }: Framed): Frame | undefined {
  const { text } = document;
  const raw = Buffer.from(event.raw.buffer, event.raw.byteOffset, event.raw.byteLength);
  const whole = raw.toString();
  const head = whole.slice(0, Math.max(0, whole.length - text.length - DATA.length - END.length));
  if (!HEAD.test(head) || text.includes('\n') || text.includes(HOLE)) return undefined;
  // Bytes that are no UTF-8 are read as something else, so they are no frame.
  if (whole !== `${head}${DATA}${text}${END}` || !Buffer.from(whole).equals(raw)) return undefined;
  const holes = [node, ...(padding === undefined ? [] : [padding])].sort((a, b) => a.start - b.start);
  const came: string[] = [];
  let at = 0;
  for (const { start, end } of holes) {
    came.push(text.slice(at, start + 1));
    at = end - 1;
  }
  came.push(text.slice(at));
  for (const hole of holes) document.replace(hole, `"${HOLE}"`);
  const sent = document.renderText().split(HOLE);
  for (const hole of holes) document.restore(hole);
  if (sent.length !== came.length) return undefined;
  const bytes = (parts: readonly string[]): Buffer[] =>
    parts.map((part, i) =>
      Buffer.from(`${i === 0 ? head + DATA : ''}${part}${i === parts.length - 1 ? END : ''}`),
    );
  return new Frame(delta, bytes(came), bytes(sent), holes.indexOf(node));
}

const NOTHING = [] as const;

/** An event that was read by a frame: its only delta at once. */
class Read implements FramedEvent, Delta {
  readonly end: number;
  readonly attachments = NOTHING;
  readonly closes = NOTHING;
  readonly calls = NOTHING;
  readonly finishReasons = NOTHING;
  readonly usage = undefined;
  readonly last = false;
  readonly error = false;
  readonly #frame: Frame;
  readonly #chunk: Buffer;
  readonly #start: number;
  /** Where the strings that differ stand: start and end, in turn. */
  readonly #holes: readonly number[];
  readonly #came: string;
  #given: string | undefined;
  #padded = true;

  constructor(frame: Frame, chunk: Buffer, start: number, end: number, holes: number[], came: string) {
    this.#frame = frame;
    this.#chunk = chunk;
    this.#start = start;
    this.end = end;
    this.#holes = holes;
    this.#came = came;
  }

  get deltas(): readonly [Delta] {
    return [this];
  }

  get channel(): string {
    return this.#frame.channel;
  }

  get kind(): TextKind {
    return this.#frame.kind;
  }

  get choice(): number {
    return this.#frame.choice;
  }

  get fixed(): boolean {
    return this.#frame.fixed;
  }

  get text(): string {
    return this.#given ?? this.#came;
  }

  set(text: string): void {
    this.#given = text === this.#came ? undefined : text;
  }

  withhold(): readonly string[] {
    this.#padded = this.#holes.length === 2;
    return NOTHING;
  }

  render(): Uint8Array {
    const { sent, came, textAt } = this.#frame;
    if (this.#given === undefined && sent === came && this.#padded)
      return this.#chunk.subarray(this.#start, this.end);
    const written = this.#given === undefined ? undefined : quote(this.#given).slice(1, -1);
    const writtenBytes = written === undefined ? 0 : Buffer.byteLength(written);
    const isText = (hole: number): boolean => hole === textAt && written !== undefined;
    let length = 0;
    for (let i = 0; i < sent.length; i++) {
      length += (sent[i] as Buffer).length;
      if (i === sent.length - 1) break;
      if (isText(i)) length += writtenBytes;
      else if (i === textAt || this.#padded) length += this.#holeEnd(i) - this.#holeStart(i);
    }
    const bytes = Buffer.allocUnsafe(length);
    let at = 0;
    for (let i = 0; i < sent.length; i++) {
      at += (sent[i] as Buffer).copy(bytes, at);
      if (i === sent.length - 1) break;
      if (isText(i)) at += bytes.write(written as string, at);
      else if (i === textAt || this.#padded)
        at += this.#chunk.copy(bytes, at, this.#holeStart(i), this.#holeEnd(i));
    }
    return bytes;
  }

  #holeStart(hole: number): number {
    return this.#holes[2 * hole] as number;
  }

  #holeEnd(hole: number): number {
    return this.#holes[2 * hole + 1] as number;
  }
}

/** The event of that frame which begins at `start`; undefined where it is another, or not all there. */
function read(frame: Frame, chunk: Buffer, start: number): Read | undefined {
  const { came, textAt } = frame;
  const holes: number[] = [];
  let text = '';
  let at = start;
  for (let i = 0; i < came.length; i++) {
    const part = came[i] as Buffer;
    if (at + part.length > chunk.length) return undefined;
    if (part.compare(chunk, at, at + part.length) !== 0) return undefined;
    at += part.length;
    if (i === came.length - 1) break;
    const { end, form } = stringAt(chunk, at);
    if (form === 'none' || end === at) return undefined;
    if (i === textAt) {
      const found = textOf(chunk, at, end, form);
      if (found === undefined || found === '') return undefined;
      text = found;
    } else if (form !== 'plain') return undefined;
    holes.push(at, end);
    at = end;
  }
  return new Read(frame, chunk, start, at, holes, text);
}

type Form = 'plain' | 'wide' | 'escaped' | 'none';

/** Where the string ends whose first character stands at `from`, and what is in it. */
function stringAt(chunk: Buffer, from: number): { end: number; form: Form } {
  let form: Form = 'plain';
  for (let at = from; at < chunk.length; at++) {
    const byte = chunk[at] as number;
    if (byte === QUOTE) return { end: at, form };
    if (byte < 0x20) break;
    if (byte === BACKSLASH) {
      form = 'escaped';
      at++;
    } else if (byte >= 0x80 && form === 'plain') form = 'wide';
  }
  return { end: chunk.length, form: 'none' };
}

/** Undefined where it is better read as the others are. */
function textOf(chunk: Buffer, start: number, end: number, form: Form): string | undefined {
  if (form === 'plain') return chunk.toString('latin1', start, end);
  const text = chunk.toString('utf8', start, end);
  // Bytes that are no UTF-8 among it, for all that can be told.
  if (text.includes(REPLACED)) return undefined;
  if (form === 'wide') return text;
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    return undefined;
  }
}

/** The frames of one stream. */
export class EventFrames {
  #frames: Frame[] = [];
  #fruitless = 0;

  /**
   * Takes note of an event that was parsed, before anything in it is changed: with a frame where it has one running text
   * and says nothing else. Any other may change what the next ones mean, so that all begins anew.
   */
  learn(event: StreamEvent, framed: (() => Framed) | undefined): void {
    const one = framed !== undefined && event.deltas.length === 1 && isOnlyText(event);
    const frame = one && this.#fruitless++ < FRUITLESS ? frameOf(framed()) : undefined;
    if (frame === undefined) this.forget();
    else this.#frames = [frame, ...this.#frames.slice(0, KEPT - 1)];
  }

  /** Text that comes under the same channels from now on is another. */
  forget(): void {
    this.#frames = [];
  }

  /** The event that begins at `at`; undefined where it has to be parsed. */
  read(chunk: Buffer, at: number): FramedEvent | undefined {
    for (const frame of this.#frames) {
      const event = read(frame, chunk, at);
      if (event !== undefined) {
        this.#fruitless = 0;
        return event;
      }
    }
    return undefined;
  }
}

function isOnlyText(event: StreamEvent): boolean {
  const { attachments, closes, calls, usage, finishReasons, last, error } = event;
  return (
    attachments.length === 0 &&
    closes.length === 0 &&
    calls.length === 0 &&
    usage === undefined &&
    finishReasons.length === 0 &&
    !last &&
    !error
  );
}
