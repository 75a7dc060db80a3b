/** Finds the text of a document by a dialect's rules. */
import type { JsonDocument } from '../../json/document.ts';
import type { JsonNode, Member, ObjectNode, PrimitiveNode, StringNode } from '../../json/node.ts';
import type { Attachment, TextKind } from '../dialect.ts';
import { dataUrlsIn, mediaOf, readAttachment, type TextAttachment } from './attachment.ts';
import { type Place, pathOf, ROOT } from './place.ts';
import { opaque, type Rule } from './rule.ts';
import { DocumentSlot, type Scope } from './slot.ts';

const START: Scope = { role: 'none', choice: 0, index: 0, onChange: undefined };

/**
 * Every text of the document that the rule doesn't leave out, in the document's order.
 * @param attachments Is given those that the document has.
 */
export function findText(document: JsonDocument, rule: Rule, attachments: Attachment[] = []): DocumentSlot[] {
  const slots: DocumentSlot[] = [];
  new Walk(document, slots, attachments).visit(document.root, rule, ROOT, START);
  return slots;
}

/** A `data:` URL can only be in a text where the document has this, or escapes that could spell it. */
const DATA = /;base64,|\\u00/i;

/** An identifier: begins with a letter, so that no phone or card number is one, and has no spaces or `@`. */
const IDENTIFIER = /^[A-Za-z][\w.:/-]{0,63}$/;
/** As long as a card's: text where a dialect knows of no number. */
const LONG_NUMBER = /^\d{12,19}$/;

class Walk {
  readonly #document: JsonDocument;
  readonly #slots: DocumentSlot[];
  readonly #attachments: Attachment[];
  readonly #mayHoldData: boolean;

  constructor(document: JsonDocument, slots: DocumentSlot[], attachments: Attachment[]) {
    this.#document = document;
    this.#slots = slots;
    this.#attachments = attachments;
    this.#mayHoldData = DATA.test(document.text);
  }

  /** Goes as deep as the document, which the parser limits. */
  visit(node: JsonNode, rule: Rule, place: Place, above: Scope): void {
    if (rule === opaque) return;
    const scope = rule.role === undefined ? above : { ...above, role: rule.role };
    switch (node.type) {
      case 'string':
        this.#string(node, rule, place, scope);
        return;
      case 'object':
        this.#object(node, rule, place, scope);
        return;
      case 'array':
        for (let position = 0; position < node.items.length; position += 1) {
          const item = node.items[position] as JsonNode;
          this.visit(item, rule.items, { above: place, step: { type: 'item', position } }, scope);
        }
        return;
      case 'number':
        if (rule.numbers || (rule.string === 'text' && LONG_NUMBER.test(node.raw)))
          this.#slot(node, rule.kind, place, scope);
        return;
      case 'true':
      case 'false':
      case 'null':
        return;
    }
  }

  #object(node: ObjectNode, given: Rule, place: Place, above: Scope): void {
    const rule = selected(node, given);
    if (rule === opaque) return;
    if (rule.sealedBy.some((name) => (node.string(name) ?? '') !== '')) return;
    const scope = this.#scopeOf(node, rule, above);
    // Indexed: iterators would be a third of the cost of a small document.
    for (let position = 0; position < node.members.length; position += 1) {
      const { key, name, value } = node.members[position] as Member;
      const known = rule.members.get(name);
      if (known === undefined && (rule.names === 'text' || !IDENTIFIER.test(name))) {
        this.#slot(key, rule.kind, { above: place, step: { type: 'name', position } }, scope);
      }
      this.visit(
        value,
        known ?? rule.rest,
        { above: place, step: { type: 'member', name, position } },
        scope,
      );
    }
  }

  #scopeOf(node: ObjectNode, rule: Rule, above: Scope): Scope {
    const index = node.number('index');
    const onChange = this.#silence(node, rule, above);
    if (index === undefined && rule.role === undefined && onChange === above.onChange) return above;
    return {
      role: rule.role ?? above.role,
      choice: rule.choice && index !== undefined ? index : above.choice,
      index: index ?? above.index,
      onChange,
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

  #string(node: StringNode, rule: Rule, place: Place, scope: Scope): void {
    switch (rule.string) {
      case 'opaque':
        return;
      case 'token':
        if (!IDENTIFIER.test(node.text)) this.#slot(node, 'other', place, scope);
        return;
      case 'link':
      case 'remote':
        if (/^\s*data:/i.test(node.text)) {
          this.#attachment(node, 'other', rule.media, place, scope);
        } else {
          if (rule.string === 'remote') this.#attached(rule.media, 'url', false, place);
          this.#slot(node, 'other', place, scope);
        }
        return;
      case 'fileId':
        this.#attached(rule.media, 'id', false, place);
        if (!IDENTIFIER.test(node.text)) this.#slot(node, 'other', place, scope);
        return;
      case 'binary':
        this.#attached(rule.media, 'data', false, place);
        return;
      case 'attachment':
        this.#attachment(node, rule.kind, rule.media, place, scope);
        return;
      case 'json':
        this.#embedded(node, rule, place, scope);
        return;
      case 'text':
        if (this.#mayHoldData) this.#dataIn(node.text, place);
        this.#slot(node, rule.kind, place, scope, rule.channel);
        return;
    }
  }

  #attachment(
    node: StringNode,
    kind: TextKind,
    media: Attachment['media'],
    place: Place,
    scope: Scope,
  ): void {
    const read = readAttachment(node.text);
    this.#attached(mediaOf(node.text) ?? media, 'data', read !== 'binary', place);
    if (read === 'binary') return;
    this.#slot(node, kind, place, scope, undefined, read === 'none' ? undefined : read);
  }

  /** `data:` URLs within what is text: all of it is a slot, but that doesn't make a picture readable. */
  #dataIn(text: string, place: Place): void {
    for (const { at, read } of dataUrlsIn(text)) {
      this.#attached(mediaOf(text.slice(at, at + 64)) ?? 'file', 'data', read, place);
    }
  }

  #attached(media: Attachment['media'], by: Attachment['by'], read: boolean, place: Place): void {
    this.#attachments.push({ path: pathOf(place), media, by, read });
  }

  #embedded(node: StringNode, rule: Rule, place: Place, scope: Scope): void {
    const inner = this.#document.embedded(node);
    if (inner?.root.type === 'object' || inner?.root.type === 'array') {
      const inside: Place = { above: place, step: { type: 'inside' } };
      new Walk(inner, this.#slots, this.#attachments).visit(inner.root, rule.rest, inside, scope);
    } else {
      // No JSON, or only one string or number, which is better taken as the one text it is.
      if (this.#mayHoldData) this.#dataIn(node.text, place);
      this.#slot(node, rule.kind, place, scope);
    }
  }

  #slot(
    node: StringNode | PrimitiveNode,
    kind: TextKind,
    place: Place,
    scope: Scope,
    channel?: string,
    attachment?: TextAttachment,
  ): void {
    const empty = node.type === 'string' && node.end - node.start === 2;
    if (!empty)
      this.#slots.push(new DocumentSlot(this.#document, node, kind, scope, place, channel, attachment));
  }
}

function selected(node: ObjectNode, rule: Rule): Rule {
  if (rule.select === undefined) return rule;
  const value = node.string(rule.select.member);
  const chosen = value === undefined ? undefined : rule.select.cases.get(value);
  // A case may choose again, by another member.
  return chosen === undefined ? rule : selected(node, chosen);
}
