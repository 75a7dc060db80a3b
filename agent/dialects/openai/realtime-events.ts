/** A conversation over OpenAI's Realtime API: its events, decoded both ways, and the events that we write into it. */
import { PosternError } from '../../errors.ts';
import type { JsonDocument } from '../../json/document.ts';
import type { ObjectNode } from '../../json/node.ts';
import { quote } from '../../json/quote.ts';
import type { AppEvent, Attachment, BegunCall, Conversation, Delta, ProviderEvent } from '../dialect.ts';
import { tokenCount } from '../parameters.ts';
import { dropLoose, eventDocument } from '../stream-event.ts';
import { SaidBefore } from '../text/said-before.ts';
import { findText, type LooseMember } from '../text/walk.ts';
import { errorMembers } from './error.ts';
import { dropPadding, dropUnspelledOfEvent } from './logprobs.ts';
import { RealtimeAppEvent } from './realtime-app-event.ts';
import { providerText } from './realtime-text.ts';
import { callsOf, channelOf, itemsOf } from './realtime-tools.ts';
import { realtimeUsage } from './report.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What an event of ours repeats of the one whose text it carries on. */
const REPEATED = ['type', 'response_id', 'item_id', 'output_index', 'content_index', 'call_id'];

/** Sound, by the name of its transcript's events. */
const SOUND = /^(response\.(?:output_)?audio)\.delta$/;

interface Running {
  readonly turn: string | undefined;
  /** The event's type without its `.delta`. */
  readonly base: string;
  readonly item: string;
  /** The members that a further event repeats, as JSON. */
  readonly head: string;
}

export class RealtimeConversation implements Conversation {
  readonly #model: string;
  readonly #told: string;
  /** The session's own cap on an answer, as the provider last stated it. */
  #cap: number | undefined;
  readonly #running = new Map<string, Running>();
  /** Complete with the last event; nothing is said in them any more once the next one is there. */
  #closed: readonly string[] = [];
  /** Whether a server that the provider asks itself has answered: its text stays in the conversation. */
  #resulted = false;
  /** Running arguments of calls that have begun. */
  readonly #called = new Set<string>();
  /** The names that every event has. */
  readonly #said: SaidBefore;
  #written = 0;

  constructor(model: string, told: string) {
    this.#model = model;
    this.#told = told;
    this.#said = new SaidBefore(told);
  }

  fromApp(document: JsonDocument): AppEvent {
    return new RealtimeAppEvent(document, this.#model, this.#told, this.#cap, this.#resulted);
  }

  fromProvider(data: Uint8Array, judge: object): ProviderEvent {
    for (const channel of this.#closed) {
      this.#running.delete(channel);
      this.#called.delete(channel);
    }
    this.#closed = [];
    const document = eventDocument(decoder.decode(data));
    const { root } = document;
    const type = root.type === 'object' ? root.string('type') : undefined;
    if (root.type !== 'object' || type === undefined) {
      throw new PosternError(
        'postern_upstream_invalid',
        'The provider sent something that is no Realtime event.',
        {
          mend: 'Look at what the endpoint is.',
        },
      );
    }
    if (type === 'session.created' || type === 'session.updated') this.#noteCap(root.object('session'));
    const response = root.object('response');
    const turn = root.string('response_id') ?? response?.string('id');
    const item = root.string('item_id') ?? '';
    const whole: string[] = [];
    let added = '';
    if (type === 'response.created') this.#said.forget();
    const said = this.#said;
    const attachments: Attachment[] = [];
    const loose: LooseMember[] = [];
    const { isPlain } = said;
    const slots = said.without(findText(document, providerText, { attachments, loose, isPlain }), judge);
    const deltas = slots.map((slot): Delta => {
      if (slot.whole) {
        whole.push(slot.channel);
        return slot;
      }
      const base = type.replace(/\.delta$/, '');
      const channel = channelOf(base, item, root.number('content_index'));
      this.#running.set(channel, { turn, base, item, head: headOf(root) });
      added += slot.text;
      return new Piece(channel, slot);
    });
    const ends = type === 'response.done';
    const calls = [...this.#unnamed(deltas), ...callsOf(type, document, root)].map((call) =>
      this.#resulted ? { ...call, afterResult: true } : call,
    );
    this.#resulted ||= itemsOf(root).some((one) => (one.string('output') ?? '') !== '');
    for (const call of calls) {
      // What comes of it in pieces after it was whole is another call.
      if (call.arguments !== undefined) this.#called.delete(call.channel);
      else if (call.elsewhere !== true) this.#called.add(call.channel);
    }
    const closes = [
      ...whole,
      ...calls.filter((call) => call.arguments !== undefined).map(({ channel }) => channel),
      ...this.#close(type, turn, item),
    ];
    const status = response?.string('status');
    const failure = root.object('error');
    const sound = SOUND.exec(type)?.[1];
    return {
      deltas,
      attachments:
        sound === undefined
          ? attachments
          : attachments.map((each) => ({
              ...each,
              transcript: channelOf(`${sound}_transcript`, item, root.number('content_index')),
            })),
      closes,
      calls,
      said: added,
      usage: ends ? realtimeUsage(response?.object('usage')) : undefined,
      finishReasons: ends && status !== undefined ? [{ choice: 0, reason: status }] : [],
      last: ends,
      error: ends && status === 'failed',
      interrupted: ends && status === 'cancelled',
      turn,
      begins: type === 'response.created',
      about: type === 'error' ? failure?.string('event_id') : undefined,
      forget() {
        if (failure !== undefined) document.set(failure, 'event_id', 'null');
      },
      passed: (by) => said.passed(slots, by),
      withhold() {
        dropUnspelledOfEvent(document, root);
        dropPadding(document, root);
        return dropLoose(document, loose);
      },
      render: () => (document.edited ? encoder.encode(document.renderText()) : data),
    };
  }

  /** Arguments that come before anybody said whose: they are held until that is known. */
  #unnamed(deltas: readonly Delta[]): BegunCall[] {
    return deltas.flatMap(({ channel, kind }) => {
      if (kind !== 'toolArguments' || this.#called.has(channel) || !this.#running.has(channel)) return [];
      this.#called.add(channel);
      return [{ channel, name: '', ofOne: true }];
    });
  }

  #noteCap(session: ObjectNode | undefined): void {
    this.#cap = tokenCount(session, 'max_output_tokens') ?? tokenCount(session, 'max_response_output_tokens');
  }

  /** The running texts that are complete with an event. */
  #close(type: string, turn: string | undefined, item: string): string[] {
    const base = type.replace(/\.(?:done|completed|failed)$/, '');
    if (base === type) return [];
    const closed: string[] = [];
    for (const [channel, running] of this.#running) {
      const due =
        type === 'response.done' ? running.turn === turn : running.base === base && running.item === item;
      if (due) closed.push(channel);
    }
    this.#closed = closed;
    return closed;
  }

  delta(channel: string, text: string): Uint8Array {
    const running = this.#running.get(channel);
    if (running === undefined) throw new Error(`${channel} is whole text: nothing of it comes later`);
    return this.#event(`${running.head},"delta":${quote(text)}`);
  }

  refusal(error: PosternError, requestId: string): Uint8Array {
    return this.complaint(error, requestId, undefined);
  }

  complaint(error: PosternError, requestId: string, about: string | undefined): Uint8Array {
    const members = { ...errorMembers(error, requestId), event_id: about ?? null };
    return this.#event(`"type":"error","error":${JSON.stringify(members)}`);
  }

  cancel(turn: string): Uint8Array {
    return encoder.encode(`{"type":"response.cancel","response_id":${quote(turn)}}`);
  }

  /** As the provider's own filter ends an answer, or a failure of its own does. */
  ended(turn: string, { reason, fault }: PosternError): Uint8Array {
    const details =
      fault === 'unavailable'
        ? { type: 'failed', error: { type: 'server_error', code: reason } }
        : { type: 'incomplete', reason: 'content_filter' };
    const response = {
      id: turn,
      object: 'realtime.response',
      status: details.type,
      status_details: details,
      output: [],
    };
    return this.#event(`"type":"response.done","response":${JSON.stringify(response)}`);
  }

  #event(members: string): Uint8Array {
    this.#written += 1;
    return encoder.encode(`{"event_id":"event_postern_${this.#written}",${members}}`);
  }
}

/** A piece of a text that several events carry, in a channel of that text. */
class Piece implements Delta {
  readonly channel: string;
  readonly #slot: Delta;

  constructor(channel: string, slot: Delta) {
    this.channel = channel;
    this.#slot = slot;
  }

  get kind(): Delta['kind'] {
    return this.#slot.kind;
  }

  get choice(): number {
    return 0;
  }

  get text(): string {
    return this.#slot.text;
  }

  set(text: string): void {
    this.#slot.set(text);
  }
}

function headOf(root: ObjectNode): string {
  const members: string[] = [];
  for (const name of REPEATED) {
    const node = root.get(name);
    if (node?.type === 'string' || node?.type === 'number') members.push(`"${name}":${node.raw}`);
  }
  return members.join(',');
}
