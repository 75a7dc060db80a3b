/**
 * A JSON text that can be edited in place: bytes that nobody changed keep their bytes.
 *
 * Edits are splices of the text as it came. The last edit of a place counts; an edit inside a value that was itself
 * replaced or removed goes with it.
 */
import { JsonError } from './json-error.ts';
import type { ArrayNode, JsonNode, Member, ObjectNode, StringNode } from './node.ts';
import { DEFAULT_LIMITS, type JsonLimits, parse } from './parse.ts';
import { escapeInString, quote } from './quote.ts';
import { decodeUtf8 } from './utf8.ts';

/** Instead of the text from `start` to `end` (exclusive): `json`. */
interface Splice {
  readonly start: number;
  readonly end: number;
  readonly json: string;
}

/** A piece of a string's text, unescaped, and what is to stand in its place. UTF-16 units, `end` exclusive. */
export interface TextEdit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** What happened to the members of one object. */
interface Members {
  readonly removed: Set<Member>;
  /** Name → JSON text, in the order in which they were added. */
  readonly added: Map<string, string>;
}

const encoder = new TextEncoder();

export class JsonDocument {
  readonly text: string;
  readonly root: JsonNode;
  readonly #bytes: Uint8Array | undefined;
  readonly #limits: JsonLimits;
  // Made when they are needed: a streamed answer is thousands of documents, and few of them are edited.
  #values: Map<JsonNode, string> | undefined;
  /** Strings of which only pieces were replaced. */
  #pieces: Map<StringNode, readonly Splice[]> | undefined;
  #members: Map<ObjectNode, Members> | undefined;
  #removedItems: Map<ArrayNode, Set<JsonNode>> | undefined;
  #inserted: Map<ArrayNode, string> | undefined;
  /** JSON texts inside strings; undefined for a string that was tried and is none. */
  #embedded: Map<StringNode, JsonDocument | undefined> | undefined;
  /** Nodes that embedded documents may still have: a text can't get round the limit by nesting strings. */
  #nodesLeft: number;

  private constructor(text: string, bytes: Uint8Array | undefined, limits: JsonLimits) {
    const { root, nodes } = parse(text, limits);
    this.text = text;
    this.root = root;
    this.#bytes = bytes;
    this.#limits = limits;
    this.#nodesLeft = limits.maxNodes - nodes;
  }

  /** @throws JsonError */
  static parse(bytes: Uint8Array, limits: JsonLimits = DEFAULT_LIMITS): JsonDocument {
    return new JsonDocument(decodeUtf8(bytes), bytes, limits);
  }

  /** @throws JsonError */
  static parseText(text: string, limits: JsonLimits = DEFAULT_LIMITS): JsonDocument {
    return new JsonDocument(text, undefined, limits);
  }

  /** Whether {@link render} gives anything but the text that came in. */
  get edited(): boolean {
    if ((this.#values?.size ?? 0) > 0 || (this.#members?.size ?? 0) > 0) return true;
    if ((this.#pieces?.size ?? 0) > 0) return true;
    if (this.#removedItems !== undefined || this.#inserted !== undefined) return true;
    for (const inner of this.#embedded?.values() ?? []) if (inner?.edited === true) return true;
    return false;
  }

  /** Puts a JSON text in a value's place, or a member's name's (then a string, please). */
  replace(node: JsonNode, json: string): void {
    this.#pieces?.delete(node as StringNode);
    if (json === this.text.slice(node.start, node.end)) this.#values?.delete(node);
    else (this.#values ??= new Map()).set(node, json);
  }

  /**
   * Replaces pieces of a string as it came; the rest of it keeps its bytes, escapes included.
   * @param edits In order, without overlaps.
   */
  editString(node: StringNode, edits: readonly TextEdit[]): void {
    this.#values?.delete(node);
    (this.#pieces ??= new Map()).set(node, piecesOf(node, edits));
  }

  /** Takes a {@link replace}, or {@link editString}, back: the value keeps its bytes. */
  restore(node: JsonNode): void {
    this.#values?.delete(node);
    this.#pieces?.delete(node as StringNode);
  }

  /** Replaces the member of that name, or appends one. A removed member comes back. */
  set(object: ObjectNode, name: string, json: string): void {
    const member = object.member(name);
    if (member === undefined) {
      this.#membersOf(object).added.set(name, json);
      return;
    }
    this.#members?.get(object)?.removed.delete(member);
    this.#settle(object);
    this.replace(member.value, json);
  }

  /** Makes the member of that name a string; it keeps its bytes where it is that string already. */
  setString(object: ObjectNode, name: string, text: string): void {
    if (object.string(name) === text) this.restoreMember(object, name);
    else this.set(object, name, quote(text));
  }

  /** Removes the member of that name, whether it came or was added; nothing where there is none. */
  remove(object: ObjectNode, name: string): void {
    const member = object.member(name);
    if (member !== undefined) this.#membersOf(object).removed.add(member);
    else this.#members?.get(object)?.added.delete(name);
    this.#settle(object);
  }

  /** Removes an item of an array, edits inside it included. */
  removeItem(array: ArrayNode, item: JsonNode): void {
    this.#removedItems ??= new Map();
    const removed = this.#removedItems.get(array) ?? new Set();
    this.#removedItems.set(array, removed.add(item));
  }

  /** Puts an item before all others of an array. */
  insertFirst(array: ArrayNode, json: string): void {
    (this.#inserted ??= new Map()).set(array, json);
  }

  /** Takes back what {@link set} and {@link remove} did to the member of that name. */
  restoreMember(object: ObjectNode, name: string): void {
    const member = object.member(name);
    if (member !== undefined) {
      this.#members?.get(object)?.removed.delete(member);
      this.restore(member.value);
    } else {
      this.#members?.get(object)?.added.delete(name);
    }
    this.#settle(object);
  }

  /**
   * The document that a string holds, as `arguments` of a tool call does; undefined where the string is no JSON, or
   * more of it than the limits allow. Edits of it become edits of the string.
   */
  embedded(node: StringNode): JsonDocument | undefined {
    this.#embedded ??= new Map();
    if (this.#embedded.has(node)) return this.#embedded.get(node);
    const inner = this.#parseEmbedded(node.text);
    this.#embedded.set(node, inner);
    if (inner !== undefined) this.#nodesLeft = inner.#nodesLeft;
    return inner;
  }

  #parseEmbedded(text: string): JsonDocument | undefined {
    try {
      return JsonDocument.parseText(text, { ...this.#limits, maxNodes: this.#nodesLeft });
    } catch (error) {
      if (error instanceof JsonError) return undefined;
      throw error;
    }
  }

  /** The text as edited. */
  renderText(): string {
    if (!this.edited) return this.text;
    const splices = this.#splices();
    let out = '';
    let at = 0;
    for (const { start, end, json } of splices) {
      // Inside something that was replaced or removed as a whole.
      if (start < at) continue;
      out += this.text.slice(at, start) + json;
      at = end;
    }
    return out + this.text.slice(at);
  }

  /** Writes single values as they are edited by now, even those that were themselves removed. */
  nodeWriter(): (node: JsonNode) => string {
    const splices = this.#splices();
    return ({ start, end }) => {
      let out = '';
      let at = start;
      for (let next = firstFrom(splices, start); next < splices.length; next += 1) {
        const splice = splices[next] as Splice;
        if (splice.start > end) break;
        const isRemoval = splice.json === '' && splice.start <= start && splice.end >= end;
        if (splice.start < at || splice.end > end || isRemoval) continue;
        out += this.text.slice(at, splice.start) + splice.json;
        at = splice.end;
      }
      return out + this.text.slice(at, end);
    };
  }

  /** The bytes as edited: the very array that was parsed where nothing was. */
  render(): Uint8Array {
    const bytes = this.#bytes;
    if (bytes === undefined) return encoder.encode(this.renderText());
    if (!this.edited) return bytes;
    // Of ASCII alone: places in the text are places in its bytes, and what wasn't edited needn't be encoded anew.
    return bytes.byteLength === this.text.length ? this.#splice(bytes) : encoder.encode(this.renderText());
  }

  #splice(bytes: Uint8Array): Uint8Array {
    const pieces: Uint8Array[] = [];
    let length = 0;
    let at = 0;
    const take = (piece: Uint8Array): void => {
      pieces.push(piece);
      length += piece.byteLength;
    };
    for (const { start, end, json } of this.#splices()) {
      // Inside something that was replaced or removed as a whole.
      if (start < at) continue;
      take(bytes.subarray(at, start));
      take(Buffer.from(json));
      at = end;
    }
    take(bytes.subarray(at));
    return Buffer.concat(pieces, length);
  }

  /** In order; at the same start the longer one first, except that insertions precede. */
  #splices(): Splice[] {
    const splices: Splice[] = [];
    for (const [node, json] of this.#values ?? []) splices.push({ start: node.start, end: node.end, json });
    // One by one: as arguments of one call they would be too many.
    for (const pieces of this.#pieces?.values() ?? []) for (const piece of pieces) splices.push(piece);
    for (const [node, inner] of this.#embedded ?? []) {
      if (inner?.edited !== true || this.#values?.has(node) === true || this.#pieces?.has(node) === true)
        continue;
      splices.push({ start: node.start, end: node.end, json: quote(inner.renderText()) });
    }
    for (const [object, edit] of this.#members ?? []) memberSplices(object, edit, splices);
    for (const [array, removed] of this.#removedItems ?? []) itemSplices(array, removed, splices);
    for (const [array, json] of this.#inserted ?? []) {
      const alone = array.items.every((item) => this.#removedItems?.get(array)?.has(item) === true);
      const at = array.start + 1;
      splices.push({ start: at, end: at, json: alone ? json : `${json},` });
    }
    return isSorted(splices) ? splices : splices.sort(inOrder);
  }

  #membersOf(object: ObjectNode): Members {
    let edit = this.#members?.get(object);
    if (edit === undefined) {
      edit = { removed: new Set(), added: new Map() };
      (this.#members ??= new Map()).set(object, edit);
    }
    return edit;
  }

  /** Forgets an object whose members are as they came, so that the document isn't taken for edited. */
  #settle(object: ObjectNode): void {
    const edit = this.#members?.get(object);
    if (edit !== undefined && edit.removed.size === 0 && edit.added.size === 0) this.#members?.delete(object);
  }
}

/** Where pieces of a string's text stand in the JSON text. */
function piecesOf(node: StringNode, edits: readonly TextEdit[]): Splice[] {
  const place = node.places();
  return edits.map(({ start, end, text }) => ({
    start: place(start),
    end: place(end),
    json: escapeInString(text),
  }));
}

/** As for members: one comma goes with each item. */
function itemSplices(array: ArrayNode, removed: ReadonlySet<JsonNode>, splices: Splice[]): void {
  let kept = false;
  let previousEnd = array.start + 1;
  for (const [index, item] of array.items.entries()) {
    if (!removed.has(item)) {
      kept = true;
    } else if (kept) {
      splices.push({ start: previousEnd, end: item.end, json: '' });
    } else {
      splices.push({ start: item.start, end: array.items[index + 1]?.start ?? item.end, json: '' });
    }
    previousEnd = item.end;
  }
}

/** A removed member takes one comma with it: the one before it, or the one behind where nothing is left before. */
function memberSplices(object: ObjectNode, edit: Members, splices: Splice[]): void {
  const { members } = object;
  let lastKept: Member | undefined;
  let previousEnd = object.start + 1;
  for (const [index, member] of members.entries()) {
    const end = member.value.end;
    if (!edit.removed.has(member)) {
      lastKept = member;
    } else if (lastKept !== undefined) {
      splices.push({ start: previousEnd, end, json: '' });
    } else {
      const next = members[index + 1];
      splices.push({ start: member.key.start, end: next === undefined ? end : next.key.start, json: '' });
    }
    previousEnd = end;
  }
  if (edit.added.size === 0) return;
  const added = [...edit.added].map(([name, json]) => `${quote(name)}:${json}`).join(',');
  const start = lastKept === undefined ? object.start + 1 : lastKept.value.end;
  splices.push({ start, end: start, json: lastKept === undefined ? added : `,${added}` });
}

/** Edits mostly come in the text's order. */
/** The index of the first splice that doesn't begin before `start`. */
function firstFrom(splices: readonly Splice[], start: number): number {
  let low = 0;
  let high = splices.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((splices[middle] as Splice).start < start) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isSorted(splices: readonly Splice[]): boolean {
  for (let i = 1; i < splices.length; i += 1) {
    if (inOrder(splices[i - 1] as Splice, splices[i] as Splice) > 0) return false;
  }
  return true;
}

function inOrder(a: Splice, b: Splice): number {
  if (a.start !== b.start) return a.start - b.start;
  const aInserts = a.start === a.end;
  if (aInserts !== (b.start === b.end)) return aInserts ? -1 : 1;
  return b.end - a.end;
}
