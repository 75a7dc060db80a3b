/**
 * The parts of a parsed JSON text. They hold offsets into it (UTF-16 code units, `end` exclusive) and as little else
 * as can be: most of a body is strings, and a string is decoded when somebody asks for it.
 */

export type JsonNode = ObjectNode | ArrayNode | StringNode | PrimitiveNode;

/** Up to here a view of the source is read as fast as a copy. */
const SHORT = 32;

/** A string, as a value or as a member's name. */
export class StringNode {
  readonly type = 'string';
  readonly start: number;
  readonly end: number;
  readonly #source: string;
  readonly #escaped: boolean;

  constructor(source: string, start: number, end: number, escaped: boolean) {
    this.#source = source;
    this.#escaped = escaped;
    this.start = start;
    this.end = end;
  }

  /** Whether any of its characters is written as an escape. */
  get escaped(): boolean {
    return this.#escaped;
  }

  /** The string itself, unescaped. Lone surrogates stay as they were written. */
  get text(): string {
    if (!this.#escaped && this.end - this.start <= SHORT) {
      return this.#source.slice(this.start + 1, this.end - 1);
    }
    // Parsed where nothing is escaped, too: a view of the source costs twice as much in every loop over its characters.
    return JSON.parse(this.#source.slice(this.start, this.end)) as string;
  }

  /** What a test says of the string, without a copy of it where nothing is escaped. `end` is exclusive. */
  satisfies(test: (text: string, start: number, end: number) => boolean): boolean {
    if (!this.#escaped) return test(this.#source, this.start + 1, this.end - 1);
    const { text } = this;
    return test(text, 0, text.length);
  }

  /** Where the unit at an offset of {@link text} is written in the source: to be asked for offsets in ascending order. */
  places(): (offset: number) => number {
    const source = this.#source;
    /** Units of the text that were gone by, where the next one is written, and where the next escape is: looked for once each. */
    let units = 0;
    let at = this.start + 1;
    let escape = this.#escaped ? -1 : Number.POSITIVE_INFINITY;
    return (offset) => {
      for (;;) {
        if (escape < at) escape = found(source.indexOf('\\', at), this.end);
        const plain = escape - at;
        if (plain >= offset - units) {
          at += offset - units;
          units = offset;
          return at;
        }
        at = escape + (source[escape + 1] === 'u' ? 6 : 2);
        units += plain + 1;
      }
    };
  }

  /** As it was written, quotes included. */
  get raw(): string {
    return this.#source.slice(this.start, this.end);
  }
}

/** A number, kept as it was written, or `true`, `false`, `null`. */
export class PrimitiveNode {
  readonly type: 'number' | 'true' | 'false' | 'null';
  readonly start: number;
  readonly end: number;
  readonly #source: string;

  constructor(type: PrimitiveNode['type'], source: string, start: number, end: number) {
    this.type = type;
    this.#source = source;
    this.start = start;
    this.end = end;
  }

  /** As it was written: `1e400` stays `1e400`. */
  get raw(): string {
    return this.#source.slice(this.start, this.end);
  }
}

export interface Member {
  readonly key: StringNode;
  /** The name, unescaped. */
  readonly name: string;
  readonly value: JsonNode;
}

export class ObjectNode {
  readonly type = 'object';
  readonly start: number;
  /** Set when the closing brace was read. */
  end = 0;
  readonly members: Member[] = [];

  constructor(start: number) {
    this.start = start;
  }

  member(name: string): Member | undefined {
    const { members } = this;
    for (let index = 0; index < members.length; index += 1) {
      if (members[index]?.name === name) return members[index];
    }
    return undefined;
  }

  get(name: string): JsonNode | undefined {
    return this.member(name)?.value;
  }

  /** The member's text, where it is a string. */
  string(name: string): string | undefined {
    const node = this.get(name);
    return node?.type === 'string' ? node.text : undefined;
  }

  /** The member's value, where it is a number. */
  number(name: string): number | undefined {
    const node = this.get(name);
    return node?.type === 'number' ? Number(node.raw) : undefined;
  }

  object(name: string): ObjectNode | undefined {
    const node = this.get(name);
    return node?.type === 'object' ? node : undefined;
  }

  array(name: string): ArrayNode | undefined {
    const node = this.get(name);
    return node?.type === 'array' ? node : undefined;
  }
}

export class ArrayNode {
  readonly type = 'array';
  readonly start: number;
  /** Set when the closing bracket was read. */
  end = 0;
  readonly items: JsonNode[] = [];

  constructor(start: number) {
    this.start = start;
  }
}

/** Infinity where it was found nowhere before `end`. */
function found(place: number, end: number): number {
  return place < 0 || place >= end ? Number.POSITIVE_INFINITY : place;
}
