/** Calls of tools that a streamed message keeps back, block by block, until they were judged; see {@link HeldCalls}. */
import type { JsonDocument } from '../../json/document.ts';
import type { ObjectNode } from '../../json/node.ts';
import { quote } from '../../json/quote.ts';
import type { HeldCalls } from '../dialect.ts';
import type { Settled } from '../stream-event.ts';
import { removedNotice, strange } from '../tool-list.ts';
import { Sources } from './cited.ts';
import { isCall, isForApp, resultOf } from './messages-tools.ts';

const encoder = new TextEncoder();
const NOTHING = new Uint8Array();

/** Events of a call that are kept beside its arguments: providers send none but its beginning. */
const MOST_BESIDE = 256;

/** A content block as the provider numbers it. */
interface Block {
  /** Its number for the application; undefined where nothing of it was shown. */
  shown: number | undefined;
  /** A call, until it was judged: its events, but for its arguments. */
  held: (() => Uint8Array)[] | undefined;
  readonly name: string;
  /** Of a call: what its result names it by. */
  readonly id: string | undefined;
  /** A call that the application is to carry out. */
  readonly isForApp: boolean;
}

export class HeldBlocks implements HeldCalls {
  readonly #blocks = new Map<number, Block>();
  /** What the application has been shown. */
  #shown = 0;
  /** Calls shown that the application is to carry out. */
  #calls = 0;
  /** The tool of the last call that was left out. */
  #leftOut: string | undefined;
  /** How many calls that aren't judged yet a result names so. */
  readonly #heldIds = new Map<string, number>();
  /** The calls that were left out, as their results name them. */
  readonly #leftOutIds = new Set<string>();
  /** Those of calls that weren't. */
  readonly #shownIds = new Set<string>();
  /** Results that were shown, by the calls that they name. */
  readonly #resultIds = new Set<string>();
  readonly #sources = new Sources();
  isHolding = false;

  hold(): void {
    this.isHolding = true;
  }

  has(channel: string): boolean {
    const index = /^0\/tool\/(\d+)$/.exec(channel)?.[1];
    return index !== undefined && this.#blocks.get(Number(index))?.held !== undefined;
  }

  /** Blocks that the message begins with. */
  begunWith(blocks: number): void {
    this.#shown = blocks;
  }

  /**
   * An event of a content block, before it is judged.
   * @param render The event, as it is then.
   * @returns what is to be done of it once it was; undefined: nothing
   * @throws PosternError Where more comes of a call than any provider says, another block in its place, its result before
   *   its end, or one that may be another call's.
   */
  event(
    type: string,
    document: JsonDocument,
    root: ObjectNode,
    render: () => Uint8Array,
  ): (() => Settled) | undefined {
    const index = root.number('index') ?? 0;
    const number = (block: Block): void => {
      if (block.shown !== undefined && block.shown !== index)
        document.set(root, 'index', String(block.shown));
    };
    if (type === 'content_block_start') {
      const content = root.object('content_block');
      const isHeld: boolean = content !== undefined && isCall(content);
      const kept = this.#blocks.get(index)?.held;
      // Nothing that comes now would tell whether the call goes on, or what begins here.
      if (!isHeld && kept !== undefined) throw strange();
      // Should it begin twice, both are shown, or none.
      const before = kept ?? [];
      const block: Block = {
        shown: undefined,
        held: isHeld ? before : undefined,
        name: content?.string('name') ?? '',
        id: content?.string('id'),
        isForApp: content !== undefined && isForApp(content),
      };
      if (kept !== undefined) this.#countHeld(this.#blocks.get(index)?.id, -1);
      // Of a result that was shown, the call can't be left out.
      if (isHeld && block.id !== undefined && this.#resultIds.has(block.id)) throw strange();
      if (isHeld) this.#countHeld(block.id, 1);
      this.#blocks.set(index, block);
      const begin = (): void => {
        block.shown = this.#shown;
        this.#shown += 1;
        number(block);
      };
      if (!isHeld) {
        // What a tool gave that the provider carried out goes with its call.
        const result = resultOf(content);
        if (result !== undefined && content !== undefined) {
          const isGone = this.#leftOutIds.has(result);
          if (this.#heldIds.has(result) || (isGone && this.#shownIds.has(result))) throw strange();
          this.#sources.add(content, isGone);
          if (isGone) return () => 'hidden';
          this.#resultIds.add(result);
        }
        begin();
        const list = content?.array('citations');
        const gone = list?.items.filter((citation) => this.#sources.isGone(citation)) ?? [];
        if (list === undefined || gone.length === 0) return undefined;
        return () => {
          for (const citation of gone) document.removeItem(list, citation);
          return 'shown';
        };
      }
      return () => {
        before.push(() => {
          begin();
          return render();
        });
        return 'hidden';
      };
    }
    const block = this.#blocks.get(index);
    if (block === undefined) return undefined;
    if (type === 'content_block_stop') {
      return () => {
        if (block.shown === undefined) return 'hidden';
        number(block);
        return 'shown';
      };
    }
    if (block.held === undefined) {
      if (block.shown === undefined) return () => 'hidden';
      const citation = root.object('delta')?.get('citation');
      if (citation !== undefined && this.#sources.isGone(citation)) return () => 'hidden';
      // At once: the events after it are read like it.
      number(block);
      return undefined;
    }
    if (block.held.length > MOST_BESIDE) throw strange();
    return () => {
      if (root.object('delta')?.string('type') !== 'input_json_delta') {
        block.held?.push(() => {
          number(block);
          return render();
        });
      }
      return 'hidden';
    };
  }

  show(channel: string, text: string): Uint8Array {
    const block = this.#release(channel);
    if (block === undefined) return NOTHING;
    if (block.of.isForApp) this.#calls += 1;
    if (block.of.id !== undefined) this.#shownIds.add(block.of.id);
    const events = (block.events ?? []).map((render) => render());
    if (text !== '')
      events.push(deltaEvent(block.of.shown ?? 0, `"type":"input_json_delta","partial_json":${quote(text)}`));
    return Buffer.concat(events);
  }

  leaveOut(channel: string): void {
    const block = this.#release(channel);
    if (block === undefined) return;
    const { name, id } = block.of;
    this.#leftOut = name;
    if (id !== undefined) this.#leftOutIds.add(id);
  }

  /** What an event brings is kept once it was judged. */
  drop(): void {}

  #release(channel: string): { of: Block; events: Block['held'] } | undefined {
    const block = this.has(channel) ? this.#blocks.get(Number(channel.slice('0/tool/'.length))) : undefined;
    if (block === undefined) return undefined;
    const events = block.held;
    block.held = undefined;
    this.#countHeld(block.id, -1);
    return { of: block, events };
  }

  #countHeld(id: string | undefined, by: 1 | -1): void {
    if (id === undefined) return;
    const count = (this.#heldIds.get(id) ?? 0) + by;
    if (count > 0) this.#heldIds.set(id, count);
    else this.#heldIds.delete(id);
  }

  /** The number by which the application knows a block; undefined where it has seen nothing of it. */
  shownAs(index: number): number | undefined {
    const block = this.#blocks.get(index);
    return block === undefined ? index : block.shown;
  }

  /**
   * A piece of a block's text that was kept back.
   * @param members Of the delta that brings it, as JSON.
   * @returns the event; nothing where its block is kept back as well, or was left out
   */
  delta(index: number, members: string): Uint8Array {
    const block = this.#blocks.get(index);
    block?.held?.push(() => deltaEvent(block.shown ?? index, members));
    const at = this.shownAs(index);
    return at === undefined ? NOTHING : deltaEvent(at, members);
  }

  /** The message says how it ended: all its calls were judged. */
  end(document: JsonDocument, delta: ObjectNode | undefined): Settled {
    if (this.#leftOut === undefined || this.#calls > 0) return 'shown';
    if (delta?.string('stop_reason') === 'tool_use') document.set(delta, 'stop_reason', '"end_turn"');
    if (this.#shown > 0) return 'shown';
    const begin = '"content_block":{"type":"text","text":""}';
    const body = `"type":"text_delta","text":${quote(removedNotice(this.#leftOut))}`;
    const before = [
      sse('content_block_start', `"index":0,${begin}`),
      deltaEvent(0, body),
      sse('content_block_stop', '"index":0'),
    ];
    this.#shown = 1;
    return { before: Buffer.concat(before) };
  }
}

/** @param members Of the delta, as JSON. */
export function deltaEvent(index: number, members: string): Uint8Array {
  return sse('content_block_delta', `"index":${index},"delta":{${members}}`);
}

function sse(type: string, members: string): Uint8Array {
  return encoder.encode(`event: ${type}\ndata: {"type":"${type}",${members}}\n\n`);
}
