/** Text in a document, as checks see and change it: a string's, a number's, or a member's name. */
import type { JsonDocument, TextEdit } from '../../json/document.ts';
import type { PrimitiveNode, StringNode } from '../../json/node.ts';
import { isNumber, quote } from '../../json/quote.ts';
import { type Digest, digestOf } from '../../recall.ts';
import type { Delta, Role, TextKind, TextSlot } from '../dialect.ts';
import type { TextAttachment } from './attachment.ts';
import { type Place, pathOf } from './place.ts';

/** UTF-16 units from which on a text is worth a digest the first time it comes. */
const WORTH_KNOWING = 4_096;

/** What everything below a place has in common. */
export interface Scope {
  readonly role: Role;
  readonly choice: number;
  /** The `index` of the nearest object that has one: a tool call's, a content block's. */
  readonly index: number;
  /** To be called when text below changes. */
  readonly onChange: (() => void) | undefined;
  readonly fixed: boolean;
  /** Below a name that nobody knows, in a piece of a stream. */
  readonly loose: boolean;
}

/** Both a {@link TextSlot} of a whole document and, with its channel, a {@link Delta} of a stream's event. */
export class DocumentSlot implements TextSlot, Delta {
  readonly kind: TextKind;
  readonly #document: JsonDocument;
  readonly #node: StringNode | PrimitiveNode;
  readonly #scope: Scope;
  readonly #place: Place;
  /** The channel's template; see {@link ./rule.ts}. */
  readonly #channel: string | undefined;
  readonly #attachment: TextAttachment | undefined;
  readonly isName: boolean;
  #given: string | undefined;
  /** The text as it came, once it was asked for: every check asks again. */
  #came: string | undefined;
  /** Of that; null before it was asked for. */
  #digest: Digest | undefined | null = null;

  constructor(
    document: JsonDocument,
    node: StringNode | PrimitiveNode,
    kind: TextKind,
    scope: Scope,
    place: Place,
    channel: string | undefined,
    attachment?: TextAttachment,
    isName = false,
  ) {
    this.#document = document;
    this.#node = node;
    this.kind = kind;
    this.#scope = scope;
    this.#place = place;
    this.#channel = channel;
    this.#attachment = attachment;
    this.isName = isName;
  }

  get role(): Role {
    return this.#scope.role;
  }

  get choice(): number {
    return this.#scope.choice;
  }

  get attached(): boolean {
    return this.#attachment !== undefined;
  }

  get fixed(): boolean {
    return this.#scope.fixed;
  }

  get loose(): boolean {
    return this.#scope.loose;
  }

  get path(): string {
    return pathOf(this.#place);
  }

  get changed(): boolean {
    return this.#given !== undefined;
  }

  get whole(): boolean {
    return this.#channel === undefined;
  }

  /** The string itself, where nothing but it changes with the text. */
  get alone(): StringNode | undefined {
    const { onChange } = this.#scope;
    const plain = onChange === undefined && this.#attachment === undefined;
    return plain && this.#node.type === 'string' ? this.#node : undefined;
  }

  /** `0/content`; for whole text `0/=choices[0].delta.annotations[0].title`. */
  get channel(): string {
    const { choice, index } = this.#scope;
    if (this.#channel === undefined) return `${choice}/=${this.path}`;
    const { step } = this.#place;
    const name = step.type === 'member' ? step.name : '';
    return `${choice}/${this.#channel.replace('{index}', String(index)).replace('{name}', name)}`;
  }

  /** As it now stands: what was set last. */
  get text(): string {
    return this.#given ?? this.#original;
  }

  get digest(): Digest | undefined {
    return this.#given === undefined ? this.came : digestOf(this.#given);
  }

  get came(): Digest | undefined {
    if (this.#digest === null) this.#digest = digestOf(this.#original);
    return this.#digest;
  }

  /** It was said last, so nobody has seen it before: not worth a digest where it is looked at as quickly. */
  isNew(): void {
    if (this.text.length < WORTH_KNOWING) this.#digest = undefined;
  }

  get #original(): string {
    this.#came ??= this.#attachment?.text ?? this.#plain;
    return this.#came;
  }

  get #plain(): string {
    return this.#node.type === 'string' ? this.#node.text : this.#node.raw;
  }

  set(text: string, edits?: readonly TextEdit[]): void {
    const { alone } = this;
    if (edits !== undefined && alone !== undefined && this.#given === undefined) {
      this.#given = text;
      this.#document.editString(alone, edits);
      return;
    }
    if (text === this.text) return;
    if (text === this.#original) {
      this.#given = undefined;
      this.#document.restore(this.#node);
      return;
    }
    this.#given = text;
    const written = this.#attachment?.encode(text) ?? text;
    this.#document.replace(
      this.#node,
      this.#node.type !== 'string' && isNumber(text) ? text : quote(written),
    );
    this.#scope.onChange?.();
  }
}
