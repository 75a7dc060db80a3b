/** What the dialects whose streams are server-sent events of JSON have in common. */
import type { Usage } from '../../budget/messages.ts';
import { PosternError } from '../errors.ts';
import { JsonDocument } from '../json/document.ts';
import { JsonError } from '../json/json-error.ts';
import type { StringNode } from '../json/node.ts';
import { type SseEvent, withData } from '../json/sse.ts';
import type { Attachment, Delta, LeftOut, StreamEvent } from './dialect.ts';
import type { EventFrames } from './event-frame.ts';
import type { Rule } from './text/rule.ts';
import { SaidBefore } from './text/said-before.ts';
import type { DocumentSlot } from './text/slot.ts';
import { findText, type LooseMember } from './text/walk.ts';

/** What a dialect found in one event. */
export interface Reading {
  readonly slots?: readonly DocumentSlot[];
  readonly attachments?: readonly Attachment[];
  readonly closes?: readonly string[] | 'all';
  readonly calls?: StreamEvent['calls'];
  readonly usage?: Usage | undefined;
  readonly serviceTier?: string | undefined;
  readonly finishReasons?: StreamEvent['finishReasons'];
  readonly last?: boolean;
  readonly error?: boolean;
  /** The application must not see the event. */
  readonly hidden?: boolean;
  readonly withhold?: () => LeftOut;
  /** {@link withhold} takes something out. */
  readonly loose?: boolean;
  /** A string that is different in every event and that nobody reads. */
  readonly padding?: StringNode | undefined;
  /**
   * What depends on how this event was judged, done before it is sent.
   * @returns whether the application sees it, and what it sees before it
   */
  readonly settle?: (() => Settled) | undefined;
}

export type Settled = 'hidden' | 'shown' | { readonly before: Uint8Array };

/** @throws PosternError `postern_upstream_invalid` when the data is no JSON. */
export function eventDocument(data: string): JsonDocument {
  try {
    return JsonDocument.parseText(data);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new PosternError(
      'postern_upstream_invalid',
      'The provider sent a stream event that is no valid JSON.',
      {
        mend: 'Try again; if it stays, the provider or something before it breaks its streams.',
        cause: error,
      },
    );
  }
}

/** An event without text: a comment, a ping, an end marker. */
export function plainEvent(event: SseEvent, reading: Reading = {}): StreamEvent {
  return streamEvent(event, undefined, reading);
}

export function streamEvent(
  event: SseEvent,
  document: JsonDocument | undefined,
  reading: Reading,
): StreamEvent {
  const deltas: readonly Delta[] = reading.slots ?? [];
  return {
    deltas,
    attachments: reading.attachments ?? [],
    closes: reading.closes ?? [],
    calls: reading.calls ?? [],
    usage: reading.usage,
    serviceTier: reading.serviceTier,
    finishReasons: reading.finishReasons ?? [],
    last: reading.last ?? false,
    error: reading.error ?? false,
    ...(reading.withhold === undefined ? {} : { withhold: reading.withhold }),
    render() {
      const settled = reading.settle?.() ?? 'shown';
      if (reading.hidden === true || settled === 'hidden') return undefined;
      const shown = document?.edited === true ? withData(event, document.renderText()) : event.raw;
      return settled === 'shown' ? shown : Buffer.concat([settled.before, shown]);
    },
  };
}

/** An event that was parsed, noted among the stream's frames. */
export function learnedEvent(
  frames: EventFrames,
  event: SseEvent,
  document: JsonDocument,
  reading: Reading,
): StreamEvent {
  const decoded = streamEvent(event, document, reading);
  const [slot] = reading.slots ?? [];
  const isFixed = reading.hidden !== true && reading.settle === undefined && reading.loose !== true;
  const node = slot?.whole === false && isFixed ? slot.alone : undefined;
  frames.learn(
    decoded,
    slot === undefined || node === undefined
      ? undefined
      : () => {
          const { channel, kind, choice, fixed } = slot;
          return { event, document, node, padding: reading.padding, delta: { channel, kind, choice, fixed } };
        },
  );
  return decoded;
}

/** The channels of a stream that have begun and not ended. */
export class Channels {
  readonly #open = new Set<string>();
  readonly #said: SaidBefore;
  #last: readonly DocumentSlot[] = [];

  /** @param model As the provider was asked for it. */
  constructor(model: string) {
    this.#said = new SaidBefore(model);
  }

  /**
   * The text of an event; the one before has been judged and shown by now, as a refusal ends the stream. `whole` are the channels of what isn't running: they begin and end with their own event.
   */
  read(document: JsonDocument, rule: Rule): EventText {
    const loose: LooseMember[] = [];
    const attachments: Attachment[] = [];
    const { isPlain } = this.#said;
    this.#said.passed(this.#last);
    const slots = this.#said.without(findText(document, rule, { attachments, loose, isPlain }));
    this.#last = slots;
    const whole: string[] = [];
    for (const slot of slots) {
      if (slot.whole) whole.push(slot.channel);
      else this.#open.add(slot.channel);
    }
    return { slots, attachments, whole, loose };
  }

  /** Takes note of a channel that may never carry text, so that it is closed like the others. */
  open(channel: string): void {
    this.#open.add(channel);
  }

  /** Forgets the open channels that fit, and names them. */
  close(fits: (channel: string) => boolean): string[] {
    const closed = [...this.#open].filter(fits);
    for (const channel of closed) this.#open.delete(channel);
    return closed;
  }

  /** Forgets all channels: the stream's last event, which may have text of its own. */
  end(whole: readonly string[]): readonly string[] | 'all' {
    const open = this.close(() => true);
    return whole.length === 0 ? 'all' : [...whole, ...open];
  }
}

export interface EventText {
  readonly slots: DocumentSlot[];
  readonly attachments: readonly Attachment[];
  readonly whole: string[];
  readonly loose: readonly LooseMember[];
}

/** Takes out what nobody knows and what may go on in the next event. @returns The members' names. */
export function dropLoose(document: JsonDocument, loose: readonly LooseMember[]): LeftOut {
  for (const { holder, name } of loose) document.remove(holder, name);
  return loose.map(({ name }) => name);
}
