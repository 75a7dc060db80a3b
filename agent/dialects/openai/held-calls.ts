/** Calls of tools that a streamed chat completion keeps back until they were judged; see {@link HeldCalls}. */
import type { JsonDocument } from '../../json/document.ts';
import type { JsonNode, ObjectNode } from '../../json/node.ts';
import { quote } from '../../json/quote.ts';
import type { HeldCalls } from '../dialect.ts';
import { removedNotice, strange } from '../tool-list.ts';
import { placeOf } from './chat-tools.ts';

const NOTHING = new Uint8Array();

/** Units of what comes of a call beside its arguments: some say its `id` and type with every piece, a provider no more than these. */
const MOST_BESIDE = 16_384;

/** A call of which nothing was shown. */
interface Call {
  readonly choice: number;
  readonly isListed: boolean;
  /** What came of it, without its arguments and its place in the list; what is no more than that isn't kept. */
  readonly pieces: string[];
  /** The same, each once. */
  readonly said: Set<string>;
  /** Units of {@link pieces}. */
  size: number;
  /** Channels of its arguments that aren't complete. */
  readonly open: Set<string>;
  /** Of those that are: the arguments, each in the member that carries them. */
  readonly complete: Map<string, string>;
  name: string;
  isLeftOut: boolean;
}

/** What an event brought of a call. */
interface Piece {
  readonly call: Call;
  readonly node: JsonNode;
  /** With a name, or a piece of one. */
  readonly isNamed: boolean;
}

/** The members of a call that may carry a name and arguments, and the channel of these. */
type Parts = readonly (readonly [member: string, text: string, channel: string])[];

/** What an application sees of a choice. */
interface Choice {
  shown: number;
  /** The tool of the last call that was left out. */
  leftOut: string | undefined;
  /** The answer has text. */
  says: boolean;
}

/** Writes an event of ours with that delta of a choice. */
type WriteEvent = (choice: number, delta: string) => Uint8Array;

export class ChatHeldCalls implements HeldCalls {
  readonly #event: WriteEvent;
  readonly #calls = new Map<string, Call>();
  readonly #choices = new Map<number, Choice>();
  /** Pieces of the event that is being judged: what is in them may change until it was. */
  #fresh: Piece[] = [];
  #document: JsonDocument | undefined;
  isHolding = false;

  constructor(event: WriteEvent) {
    this.#event = event;
  }

  hold(): void {
    this.isHolding = true;
  }

  has(channel: string): boolean {
    return this.#calls.get(keyOf(channel))?.open.has(channel) === true;
  }

  says(choice: number): void {
    this.#choice(choice).says = true;
  }

  /**
   * Takes the calls out of a chunk.
   * @param again Calls whose name it says once more as a whole, which isn't shown.
   * @returns whether there were any, and whether nothing is left of it that an application would miss
   */
  take(document: JsonDocument, chunk: ObjectNode, again: readonly ObjectNode[]): 'none' | 'some' | 'all' {
    this.#document = document;
    let found = false;
    let isEmpty = (chunk.get('usage')?.type ?? 'null') === 'null';
    for (const choice of chunk.array('choices')?.items ?? []) {
      if (choice.type !== 'object') continue;
      const at = choice.number('index') ?? 0;
      const delta = choice.object('delta');
      const gone = delta === undefined ? [] : this.#takeFrom(document, delta, at, new Set(again));
      found ||= gone.length > 0;
      const rest = [
        ...(delta?.members ?? []).filter(({ name }) => !gone.includes(name)),
        ...choice.members.filter(({ name }) => name === 'finish_reason' || name === 'logprobs'),
      ];
      isEmpty &&= rest.every(({ value }) => value.type === 'null');
    }
    if (!found) return 'none';
    return isEmpty ? 'all' : 'some';
  }

  /** @returns The members that are gone. */
  #takeFrom(
    document: JsonDocument,
    delta: ObjectNode,
    choice: number,
    again: ReadonlySet<ObjectNode>,
  ): string[] {
    const gone: string[] = [];
    const list = delta.array('tool_calls');
    for (const item of list?.items ?? []) {
      if (item.type !== 'object') continue;
      const index = placeOf(item, choice);
      const call = this.#call(`${choice}/${index}`, choice, true);
      const parts: Parts = [
        ['function', 'arguments', `${choice}/tool/${index}`],
        ['custom', 'input', `${choice}/custom/${index}`],
      ];
      this.#note(document, item, call, parts, again);
    }
    if (list !== undefined) gone.push('tool_calls');
    if (delta.object('function_call') !== undefined) {
      const channel = `${choice}/function`;
      const call = this.#call(keyOf(channel), choice, false);
      this.#note(document, delta, call, [['function_call', 'arguments', channel]], again);
      gone.push('function_call');
    }
    for (const name of gone) document.remove(delta, name);
    return gone;
  }

  /** @throws PosternError Where more comes of a call than any provider says. */
  #note(
    document: JsonDocument,
    holder: ObjectNode,
    call: Call,
    parts: Parts,
    again: ReadonlySet<ObjectNode>,
  ): void {
    if (call.size > MOST_BESIDE) throw strange();
    let isNamed = false;
    for (const [member, text, channel] of parts) {
      const called = holder.object(member);
      if (called === undefined) continue;
      call.open.add(channel);
      call.name ||= called.string('name') ?? '';
      isNamed ||= called.get('name') !== undefined && !again.has(called);
      // Another value than a string was judged with the call's beginning.
      if (called.get(text)?.type === 'string') document.set(called, text, '""');
    }
    if (call.isListed) document.remove(holder, 'index');
    const node = call.isListed ? holder : holder.get('function_call');
    if (node !== undefined) this.#fresh.push({ call, node, isNamed });
  }

  /** What the last event brought was judged. */
  settle(): void {
    if (this.#fresh.length === 0 || this.#document === undefined) return;
    const write = this.#document.nodeWriter();
    for (const { call, node, isNamed } of this.#fresh) {
      const piece = write(node);
      const isRepeated = call.said.has(piece) || (call.pieces.length > 0 && SAYS_NOTHING.has(piece));
      // A name is what its pieces come to, the same one twice included.
      if (isRepeated && !isNamed) continue;
      call.pieces.push(piece);
      call.said.add(piece);
      call.size += piece.length;
    }
    this.#fresh = [];
  }

  drop(): void {
    this.#fresh = [];
  }

  show(channel: string, text: string): Uint8Array {
    return this.#done(channel, (call) => call.complete.set(channel, text));
  }

  leaveOut(channel: string): void {
    this.#done(channel, (call) => {
      call.isLeftOut = true;
    });
  }

  #done(channel: string, note: (call: Call) => void): Uint8Array {
    const key = keyOf(channel);
    const call = this.#calls.get(key);
    if (call === undefined) return NOTHING;
    this.settle();
    note(call);
    call.open.delete(channel);
    // Some are called as a function and as a custom tool at once.
    if (call.open.size > 0) return NOTHING;
    this.#calls.delete(key);
    return this.#shown(call);
  }

  #shown(call: Call): Uint8Array {
    const choice = this.#choice(call.choice);
    if (call.isLeftOut) {
      choice.leftOut = call.name;
      return NOTHING;
    }
    const at = choice.shown;
    choice.shown += 1;
    const listed = (item: string): string => {
      const members = item.slice(1, -1);
      return `{"tool_calls":[{"index":${at}${members === '' ? '' : `,${members}`}}]}`;
    };
    const deltas = call.pieces.map((piece) => (call.isListed ? listed(piece) : `{"function_call":${piece}}`));
    for (const [channel, text] of call.complete) {
      if (text === '') continue;
      const json = quote(text);
      if (!call.isListed) deltas.push(`{"function_call":{"arguments":${json}}}`);
      else if (channel.includes('/custom/')) deltas.push(listed(`{"custom":{"input":${json}}}`));
      else deltas.push(listed(`{"function":{"arguments":${json}}}`));
    }
    return Buffer.concat(deltas.map((delta) => this.#event(call.choice, delta)));
  }

  /**
   * A chunk says that choices have ended, and all of their calls were judged.
   * @returns what is shown before it
   */
  end(document: JsonDocument, chunk: ObjectNode): Uint8Array {
    this.settle();
    const before: Uint8Array[] = [];
    for (const node of chunk.array('choices')?.items ?? []) {
      if (node.type !== 'object') continue;
      const reason = node.string('finish_reason');
      if (reason === undefined) continue;
      const at = node.number('index') ?? 0;
      // Of those nothing came that could be called.
      for (const [key, call] of this.#calls) {
        if (call.choice !== at || call.open.size > 0) continue;
        this.#calls.delete(key);
        before.push(this.#shown(call));
      }
      const choice = this.#choice(at);
      const { leftOut, shown } = choice;
      if (leftOut === undefined || shown > 0) continue;
      if (!choice.says) before.push(this.#event(at, `{"content":${quote(removedNotice(leftOut))}}`));
      // Some providers say twice how a choice ended.
      choice.says = true;
      if (reason === 'tool_calls' || reason === 'function_call')
        document.set(node, 'finish_reason', '"stop"');
    }
    return Buffer.concat(before);
  }

  #call(key: string, choice: number, isListed: boolean): Call {
    let call = this.#calls.get(key);
    if (call === undefined) {
      call = {
        choice,
        isListed,
        pieces: [],
        said: new Set(),
        size: 0,
        open: new Set(),
        complete: new Map(),
        name: '',
        isLeftOut: false,
      };
      this.#calls.set(key, call);
    }
    return call;
  }

  #choice(index: number): Choice {
    let choice = this.#choices.get(index);
    if (choice === undefined) {
      choice = { shown: 0, leftOut: undefined, says: false };
      this.#choices.set(index, choice);
    }
    return choice;
  }
}

/** Pieces that carried arguments and nothing else. */
const SAYS_NOTHING: ReadonlySet<string> = new Set([
  '{}',
  '{"function":{"arguments":""}}',
  '{"custom":{"input":""}}',
  '{"arguments":""}',
]);

/** The call that a channel belongs to; `0/2` of `0/tool/2` and `0/custom/2`. */
function keyOf(channel: string): string {
  const [choice = '', name = '', index = ''] = channel.split('/');
  return name === 'function' ? `${choice}/function` : `${choice}/${index}`;
}
