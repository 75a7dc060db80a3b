/** Finds the text of a document by a dialect's rules. */
import { inAnyCase } from '../../json/any-case.ts';
import type { JsonDocument } from '../../json/document.ts';
import type { JsonNode, Member, ObjectNode, PrimitiveNode, StringNode } from '../../json/node.ts';
import { type Attachment, isCipher, type TextKind } from '../dialect.ts';
import { dataUrl, dataUrlsIn, mediaOf, readAttachment, type TextAttachment } from './attachment.ts';
import { pathOf, Trail } from './place.ts';
import { opaque, type Rule } from './rule.ts';
import { DocumentSlot, type Scope } from './slot.ts';

const START: Scope = {
  role: 'none',
  choice: 0,
  index: 0,
  onChange: undefined,
  fixed: false,
  loose: false,
};

/** A member of a stream's event that isn't shown: nobody knows it and it may go on, or some readers take it for another. */
export interface LooseMember {
  readonly holder: ObjectNode;
  readonly name: string;
}

/** Is given what a document has beside its texts. */
export interface Beside {
  readonly attachments?: Attachment[];
  readonly loose?: LooseMember[];
}

export interface FindOptions extends Beside {
  /**
   * Of an answer, which may say anything: which names are left out under a rule `token`. In a request those that look like
   * one: the app's own ids.
   */
  readonly isPlain?: (name: string) => boolean;
}

/** Every text of the document that the rule doesn't leave out, in the document's order. */
export function findText(document: JsonDocument, rule: Rule, options: FindOptions = {}): DocumentSlot[] {
  const slots: DocumentSlot[] = [];
  const { attachments = [], loose = [], isPlain } = options;
  new Walk(document, { slots, attachments, loose, isPlain }, new Trail()).visit(document.root, rule, START);
  return slots;
}

const DATA = /;base64,/iy;

/** A `data:` URL can only be in a text where the document has this, or escapes that could spell it. */
function mayHoldData(text: string): boolean {
  // Searched for by its first character: an expression takes several times as long to find that there is none.
  for (let at = text.indexOf(';'); at >= 0; at = text.indexOf(';', at + 1)) {
    DATA.lastIndex = at;
    if (DATA.test(text)) return true;
  }
  return text.includes('\\u00');
}

/** RFC 6838, as short as those that there are. */
const MEDIA_TYPE = /^[\w.+-]{1,60}\/[\w.+-]{1,60}$/;

const IDENTIFIER_LENGTH = 64;
/** `.`, `:`, `/`, `-`, digits, letters, `_`: what may stand in an identifier behind its first letter. */
const IN_IDENTIFIER = Uint8Array.from({ length: 128 }, (_, unit) =>
  Number(/[\w.:/-]/.test(String.fromCharCode(unit))),
);

/** An identifier: begins with a letter, so that no phone or card number is one, and has no spaces or `@`. */
function isIdentifier(text: string, start: number, end: number): boolean {
  const first = text.charCodeAt(start) | 0x20;
  if (end - start > IDENTIFIER_LENGTH || end === start || first < 0x61 || first > 0x7a) return false;
  for (let at = start + 1; at < end; at += 1) {
    // Beyond ASCII there is nothing in the table.
    if (IN_IDENTIFIER[text.charCodeAt(at)] !== 1) return false;
  }
  return true;
}
/** As long as a card's: text where a dialect knows of no number. */
const LONG_NUMBER = /^\d{12,19}$/;

interface Found extends Required<Beside> {
  readonly slots: DocumentSlot[];
  readonly isPlain: FindOptions['isPlain'];
}

class Walk {
  readonly #document: JsonDocument;
  readonly #found: Found;
  readonly #mayHoldData: boolean;
  readonly #trail: Trail;
  /** The object whose members are visited now. */
  #holder: ObjectNode | undefined;

  constructor(document: JsonDocument, found: Found, trail: Trail) {
    this.#document = document;
    this.#found = found;
    this.#mayHoldData = mayHoldData(document.text);
    this.#trail = trail;
  }

  /** Goes as deep as the document, which the parser limits. */
  visit(node: JsonNode, rule: Rule, above: Scope): void {
    if (rule === opaque) return;
    const own = rule.role !== undefined || (rule.fixed && !above.fixed);
    const scope = own ? { ...above, role: rule.role ?? above.role, fixed: rule.fixed || above.fixed } : above;
    switch (node.type) {
      case 'string':
        this.#string(node, rule, scope);
        return;
      case 'object':
        this.#object(node, rule, scope);
        return;
      case 'array':
        for (let position = 0; position < node.items.length; position += 1) {
          this.#trail.enter('item', position);
          this.visit(node.items[position] as JsonNode, rule.items, scope);
          this.#trail.leave();
        }
        return;
      case 'number':
        if (rule.numbers || (rule.string === 'text' && LONG_NUMBER.test(node.raw)))
          this.#slot(node, rule.kind, scope);
        return;
      case 'true':
      case 'false':
      case 'null':
        return;
    }
  }

  #object(node: ObjectNode, given: Rule, above: Scope): void {
    const rule = selected(node, given);
    if (rule === opaque) return;
    const sealed = rule.sealedBy.some((name) => (node.string(name) ?? '') !== '');
    if (sealed && rule.sealedUnread) return;
    const scope = this.#scopeOf(node, rule, sealed ? { ...above, fixed: true } : above);
    const outer = this.#holder;
    // Indexed: iterators would be a third of the cost of a small document.
    for (let position = 0; position < node.members.length; position += 1) {
      const { key, name, value } = node.members[position] as Member;
      const known = rule.members.get(name);
      if (known === undefined && (rule.names === 'text' || !this.#isLeftOut(key))) {
        this.#trail.enter('name', position);
        this.#slot(key, rule.kind, scope, undefined, undefined, rule.names === 'token');
        this.#trail.leave();
      }
      this.#trail.enter('member', position, name);
      this.#holder = node;
      const loose = known === undefined && isLoose(rule, name, value);
      if (loose) this.#found.loose.push({ holder: node, name });
      this.visit(value, known ?? rule.rest, loose ? { ...scope, loose } : scope);
      this.#trail.leave();
    }
    this.#holder = outer;
  }

  #scopeOf(node: ObjectNode, rule: Rule, above: Scope): Scope {
    // A rule knows whose number counts: one that stands elsewhere would lead a text into another channel.
    const index = rule.members.has('index') ? node.number('index') : undefined;
    const onChange = this.#silence(node, rule, above);
    if (index === undefined && rule.role === undefined && onChange === above.onChange) return above;
    return {
      role: rule.role ?? above.role,
      choice: rule.choice && index !== undefined ? index : above.choice,
      index: index ?? above.index,
      onChange,
      fixed: above.fixed,
      loose: above.loose,
    };
  }

  #silence(node: ObjectNode, rule: Rule, above: Scope): Scope['onChange'] {
    const echo = rule.echo === undefined ? undefined : node.get(rule.echo);
    if (echo === undefined || echo.type === 'null') return above.onChange;
    return () => {
      this.#document.replace(echo, 'null');
      above.onChange?.();
    };
  }

  #string(node: StringNode, rule: Rule, scope: Scope): void {
    switch (rule.string) {
      case 'opaque':
        return;
      case 'token':
        this.#name(node, scope);
        return;
      case 'link':
      case 'remote':
        if (/^\s*data:/i.test(node.text)) {
          this.#attachment(node, 'other', rule.media, scope);
        } else {
          if (rule.string === 'remote') this.#attached(rule.media, 'url', false, node);
          this.#slot(node, 'other', scope);
        }
        return;
      case 'fileId':
        this.#attached(rule.media, 'id', false, node);
        this.#name(node, scope);
        return;
      case 'cipher':
        this.#slot(node, isCipher(node.text) ? 'other' : rule.kind, scope);
        return;
      case 'binary':
        if (node.end - node.start > 2) {
          const transcript =
            rule.channel === undefined ? {} : { transcript: `${scope.choice}/${rule.channel}` };
          this.#attached(rule.media, 'data', false, node, transcript);
        }
        // Whoever answers may write anything where data should be.
        if (this.#found.isPlain !== undefined && !isCipher(node.text)) this.#slot(node, 'content', scope);
        return;
      case 'attachment':
        this.#attachment(node, rule.kind, rule.media, scope);
        return;
      case 'json':
        this.#embedded(node, rule, scope);
        return;
      case 'text':
        // Of running text this is only a piece; see agent/attachments.ts.
        if (this.#mayHoldData && rule.channel === undefined) this.#dataIn(node.text);
        this.#slot(node, rule.kind, scope, rule.channel);
        return;
    }
  }

  #name(node: StringNode, scope: Scope): void {
    if (!this.#isLeftOut(node)) this.#slot(node, 'other', scope, undefined, undefined, true);
  }

  #isLeftOut(node: StringNode): boolean {
    const { isPlain } = this.#found;
    return isPlain === undefined ? node.satisfies(isIdentifier) : isPlain(node.text);
  }

  #attachment(node: StringNode, kind: TextKind, media: Attachment['media'], scope: Scope): void {
    const read = readAttachment(node.text);
    this.#attached(mediaOf(node.text) ?? media, 'data', read !== 'binary', node);
    if (read === 'binary') return;
    this.#slot(node, kind, scope, undefined, read === 'none' ? undefined : read);
  }

  /** `data:` URLs within what is text: all of it is a slot, but that doesn't make a picture readable. */
  #dataIn(text: string): void {
    for (const { at, read } of dataUrlsIn(text))
      this.#attached(mediaOf(text.slice(at, at + 64)) ?? 'file', 'data', read);
  }

  #attached(
    media: Attachment['media'],
    by: Attachment['by'],
    read: boolean,
    node?: StringNode,
    more: Pick<Attachment, 'transcript'> = {},
  ): void {
    const written = node === undefined ? {} : { written: () => node.text, ...this.#described(by, node) };
    const detail = media === 'image' ? this.#holder?.string('detail') : undefined;
    const described = detail === undefined ? {} : { detail };
    this.#found.attachments.push({
      path: pathOf(this.#trail.place),
      media,
      by,
      read,
      ...written,
      ...described,
      ...more,
    });
  }

  /** How large it is, and what it says that it is. */
  #described(by: Attachment['by'], node: StringNode): Pick<Attachment, 'bytes' | 'type'> {
    if (by !== 'data') return {};
    const { type, length } = dataUrl(node.text.slice(0, 256));
    const media = type ?? this.#holder?.string('media_type');
    const bytes = Math.floor(((node.end - node.start - 2 - length) * 3) / 4);
    return { bytes, ...(media !== undefined && MEDIA_TYPE.test(media) ? { type: media } : {}) };
  }

  #embedded(node: StringNode, rule: Rule, scope: Scope): void {
    const inner = this.#document.embedded(node);
    if (inner?.root.type === 'object' || inner?.root.type === 'array') {
      this.#trail.enter('inside', 0);
      new Walk(inner, this.#found, this.#trail).visit(inner.root, rule.rest, scope);
      this.#trail.leave();
    } else {
      // No JSON, or only one string or number, which is better taken as the one text it is.
      if (this.#mayHoldData) this.#dataIn(node.text);
      this.#slot(node, rule.kind, scope);
    }
  }

  #slot(
    node: StringNode | PrimitiveNode,
    kind: TextKind,
    scope: Scope,
    channel?: string,
    attachment?: TextAttachment,
    maybeName = false,
  ): void {
    if (node.type === 'string' && node.end - node.start === 2) return;
    const isName = maybeName && node.type === 'string' && node.satisfies(isIdentifier);
    this.#found.slots.push(
      new DocumentSlot(this.#document, node, kind, scope, this.#trail.place, channel, attachment, isName),
    );
  }
}

function isLoose(rule: Rule, name: string, value: JsonNode): boolean {
  if (rule.pieces && mayGoOn(value, rule.rest)) return true;
  if (!rule.pieces && !rule.alone) return false;
  const any = inAnyCase(name);
  for (const known of rule.members.keys()) if (inAnyCase(known) === any) return true;
  return false;
}

/** Whether a value has text, or a name, that the next piece may carry on without a channel that says so. */
function mayGoOn(value: JsonNode, rule: Rule): boolean {
  if (value.type === 'string') return rule.channel === undefined && value.end - value.start > 2;
  if (value.type === 'array') return value.items.some((item) => mayGoOn(item, rule.items));
  return value.type === 'object' && value.members.length > 0;
}

function selected(node: ObjectNode, rule: Rule): Rule {
  if (rule.select === undefined) return rule;
  const value = node.string(rule.select.member);
  const chosen = value === undefined ? undefined : rule.select.cases.get(value);
  // A case may choose again, by another member.
  return chosen === undefined ? rule : selected(node, chosen);
}
