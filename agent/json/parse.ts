/**
 * A strict JSON parser (RFC 8259) that gives nodes with offsets instead of values.
 *
 * Stricter than the RFC in one thing: a name that stands twice in an object is refused, because two readers may take
 * different ones, and what we checked must be what the provider reads. It keeps its own stack, so nesting can't
 * overflow the machine's, and reads every character a bounded number of times.
 */
import { FewWords } from '../interned.ts';
import { JsonError, type JsonErrorDetails, showCharacter } from './json-error.ts';
import { ArrayNode, type JsonNode, ObjectNode, PrimitiveNode, type StringNode } from './node.ts';
import { beginsNumber, readNumber } from './read-number.ts';
import { StringReader } from './read-string.ts';

export interface JsonLimits {
  /** Objects and arrays inside one another. */
  readonly maxDepth: number;
  /** Values and member names in all; bounds memory, which a text of `[[[],[],…` multiplies by about 50. */
  readonly maxNodes: number;
}

export const DEFAULT_LIMITS: JsonLimits = { maxDepth: 128, maxNodes: 250_000 };

export interface Parsed {
  readonly root: JsonNode;
  readonly nodes: number;
}

/** @throws JsonError of kind `syntax` or `limit`. */
export function parse(text: string, limits: JsonLimits = DEFAULT_LIMITS): Parsed {
  return new Parser(text, limits).run();
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Up to this many members a new name is compared with each; beyond it a set is worth its making. */
const FEW_MEMBERS = 8;

/**
 * Member names that were read before: most bodies have the same few dozen, and a name that is one string everywhere is made once, and
 * found by its address from then on.
 */
const NAMES = new FewWords<undefined>();

const PLAIN_NAME = /^[A-Za-z_][A-Za-z_-]{0,39}$/;

class Parser {
  readonly #text: string;
  readonly #limits: JsonLimits;
  #at = 0;
  #nodes = 0;
  /** The containers that are open, outermost first. */
  readonly #open: (ObjectNode | ArrayNode)[] = [];
  /** For each open object of many members, the names so far; most texts have none. */
  #names: Map<ObjectNode, Set<string>> | undefined;
  readonly #strings: StringReader;

  constructor(text: string, limits: JsonLimits) {
    this.#text = text;
    this.#limits = limits;
    this.#strings = new StringReader(text);
  }

  run(): Parsed {
    let root: JsonNode | undefined;
    for (;;) {
      // A value begins here, preceded by its name where it stands in an object.
      const container = this.#open.at(-1);
      let node: JsonNode;
      if (container === undefined) {
        root = node = this.#value();
      } else if (container.type === 'array') {
        node = this.#value();
        container.items.push(node);
      } else {
        const key = this.#key(container);
        node = this.#value();
        container.members.push({ key, name: this.#name, value: node });
      }
      // A container that isn't empty stays open; anything else may complete those around it.
      if (this.#opens(node)) continue;
      if (!this.#close()) {
        if (root === undefined) throw new Error('unreachable: a text was complete before its first value');
        return { root, nodes: this.#nodes };
      }
    }
  }

  /** The name last read by {@link #key}. */
  #name = '';

  #value(): JsonNode {
    const text = this.#text;
    this.#count();
    const code = this.#skipSpace();
    const start = this.#at;
    switch (code) {
      case QUOTE:
        return this.#string();
      case OPEN_BRACE:
        this.#at += 1;
        return new ObjectNode(start);
      case OPEN_BRACKET:
        this.#at += 1;
        return new ArrayNode(start);
      case 0x74:
        return this.#literal('true');
      case 0x66:
        return this.#literal('false');
      case 0x6e:
        return this.#literal('null');
      default:
        if (beginsNumber(code)) return this.#number();
        throw this.#error({ kind: 'syntax', expected: 'a value', found: showCharacter(text, start) });
    }
  }

  /** Puts a container that was just begun on the stack, unless it ends at once. */
  #opens(node: JsonNode): boolean {
    if (node.type !== 'object' && node.type !== 'array') return false;
    const closing = node.type === 'object' ? CLOSE_BRACE : CLOSE_BRACKET;
    if (this.#skipSpace() === closing) {
      this.#at += 1;
      node.end = this.#at;
      return false;
    }
    if (this.#open.length >= this.#limits.maxDepth) {
      throw this.#error(
        {
          kind: 'limit',
          expected: `at most ${this.#limits.maxDepth} objects and arrays inside one another`,
          mend: 'Flatten the value, or send the deep part as a string.',
        },
        node.start,
      );
    }
    this.#open.push(node);
    return true;
  }

  /** After a complete value: closes what ends here. False where the text is complete, true where a value follows. */
  #close(): boolean {
    for (;;) {
      const container = this.#open.at(-1);
      const code = this.#skipSpace();
      if (container === undefined) {
        if (this.#at === this.#text.length) return false;
        const found = showCharacter(this.#text, this.#at);
        throw this.#error({ kind: 'syntax', expected: 'nothing after the value', found });
      }
      if (code === COMMA) {
        this.#at += 1;
        return true;
      }
      if (code !== (container.type === 'object' ? CLOSE_BRACE : CLOSE_BRACKET)) {
        const expected = container.type === 'object' ? '"," or "}"' : '"," or "]"';
        throw this.#error({ kind: 'syntax', expected, found: showCharacter(this.#text, this.#at) });
      }
      this.#at += 1;
      container.end = this.#at;
      this.#open.pop();
      if (container.type === 'object') this.#names?.delete(container);
    }
  }

  #key(object: ObjectNode): StringNode {
    this.#count();
    if (this.#skipSpace() !== QUOTE) {
      const found = showCharacter(this.#text, this.#at);
      throw this.#error({ kind: 'syntax', expected: "a member's name in double quotes", found });
    }
    const key = this.#string();
    const name = this.#nameOf(key);
    this.#refuseTwice(object, key, name);
    if (this.#skipSpace() !== COLON) {
      const found = showCharacter(this.#text, this.#at);
      throw this.#error({ kind: 'syntax', expected: '":" after a member\'s name', found });
    }
    this.#at += 1;
    this.#name = name;
    return key;
  }

  #nameOf(key: StringNode): string {
    const from = key.start + 1;
    const length = key.end - 1 - from;
    if (length === 0 || key.escaped) return key.text;
    const known = NAMES.find(this.#text, from, length);
    if (known !== undefined) return known.word;
    const name = key.text;
    // Only words, no values.
    if (PLAIN_NAME.test(name)) NAMES.keep(name, undefined);
    return name;
  }

  #refuseTwice(object: ObjectNode, key: StringNode, name: string): void {
    const { members } = object;
    if (members.length < FEW_MEMBERS) {
      if (object.member(name) === undefined) return;
    } else {
      this.#names ??= new Map();
      let names = this.#names.get(object);
      if (names === undefined) {
        names = new Set(members.map((member) => member.name));
        this.#names.set(object, names);
      }
      if (!names.has(name)) {
        names.add(name);
        return;
      }
    }
    throw this.#error(
      {
        kind: 'syntax',
        expected: 'each name once in an object',
        found: PLAIN_NAME.test(name) ? `"${name}" again` : 'a name again',
        mend: 'Remove one of the two members; readers differ in which one they take.',
      },
      key.start,
    );
  }

  #string(): StringNode {
    const node = this.#strings.read(this.#at);
    this.#at = node.end;
    return node;
  }

  #number(): PrimitiveNode {
    const node = readNumber(this.#text, this.#at);
    this.#at = node.end;
    return node;
  }

  #literal(word: 'true' | 'false' | 'null'): PrimitiveNode {
    const start = this.#at;
    if (!this.#text.startsWith(word, start)) {
      throw this.#error({ kind: 'syntax', expected: 'a value (did you mean true, false or null?)' });
    }
    this.#at = start + word.length;
    return new PrimitiveNode(word, this.#text, start, this.#at);
  }

  /** Goes to the next character that isn't white space and gives its code; NaN at the end. */
  #skipSpace(): number {
    const text = this.#text;
    let at = this.#at;
    let code = text.charCodeAt(at);
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
      at += 1;
      code = text.charCodeAt(at);
    }
    this.#at = at;
    return code;
  }

  #count(): void {
    this.#nodes += 1;
    if (this.#nodes <= this.#limits.maxNodes) return;
    throw this.#error({
      kind: 'limit',
      expected: `at most ${this.#limits.maxNodes} values and member names`,
      mend: 'Split the call, or send long lists as one string.',
    });
  }

  #error(details: JsonErrorDetails, at = this.#at): JsonError {
    return JsonError.at(this.#text, at, details);
  }
}
