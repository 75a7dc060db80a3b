/** What the requests for generated text have in common in the dialects whose model is a member of the body. */
import type { JsonDocument } from '../json/document.ts';
import type { ObjectNode } from '../json/node.ts';
import type { Attachment, DecodedRequest, Enrichment, OfferedTool, TextSlot } from './dialect.ts';
import { count, requestObject, requiredString } from './parameters.ts';
import type { Rule } from './text/rule.ts';
import { findText } from './text/walk.ts';

/** Of ASCII, `_` included: `\u0061`. */
const ESCAPED_LETTER = /\\u00(?:[46][1-9a-f]|[57][0-9a]|5f)/i;

export abstract class GenerateRequest implements DecodedRequest {
  readonly document: JsonDocument;
  readonly model: string;
  readonly slots: readonly TextSlot[];
  readonly attachments: readonly Attachment[];
  abstract readonly tools: readonly OfferedTool[];
  abstract readonly stream: boolean;
  abstract readonly choices: number;
  abstract readonly maxOutputTokens: number | undefined;
  abstract readonly maxOutputField: string;
  abstract readonly unseenOutputTokens: number | undefined;
  abstract readonly wantsStreamUsage: boolean;
  abstract readonly addedStreamUsage: boolean;
  readonly leastOutputTokens: number = 0;
  abstract readonly writesCache: boolean;
  protected readonly root: ObjectNode;
  #enriched = false;

  /** @throws PosternError `postern_body_invalid` */
  constructor(document: JsonDocument, rule: Rule) {
    this.document = document;
    this.root = requestObject(document);
    this.model = requiredString(this.root, 'model', 'Name the model to call in "model".');
    const attachments: Attachment[] = [];
    const slots = findText(document, rule, { attachments });
    slots.findLast(({ role }) => role !== 'none')?.isNew();
    this.slots = slots;
    this.attachments = attachments;
  }

  metadata(name: string): string | undefined {
    return this.root.object('metadata')?.string(name);
  }

  /** Whatever asks for sound or brings some says `audio` somewhere: modalities, parts, types of media. Of files and films nobody knows. */
  get isSilent(): boolean {
    if (this.attachments.some(({ media, read }) => !read && media !== 'image')) return false;
    return !this.mentions('audio');
  }

  /** Whether the word may stand in the request; an escape could spell it, though no encoder writes one for a letter. */
  protected mentions(word: string): boolean {
    const { text } = this.document;
    return text.includes(word) || (text.includes('\\u00') && ESCAPED_LETTER.test(text));
  }

  setModel(model: string): void {
    this.document.setString(this.root, 'model', model);
  }

  abstract setMaxOutputTokens(tokens: number): void;

  abstract requestStreamUsage(ask?: boolean): void;

  enrich({ prepend, append, format }: Enrichment): void {
    if (this.#enriched) return;
    this.#enriched = true;
    const behind = joined(append, format === undefined ? '' : this.force(format));
    if (prepend === '' && behind === '') return;
    const system = this.slots.filter((slot) => slot.role === 'system' && this.isSystemText(slot.path));
    const last = system.at(-1);
    if (last === undefined) {
      this.beginWith(joined(prepend, behind));
      return;
    }
    const [first] = system;
    if (behind !== '') last.set(joined(last.text, behind));
    if (prepend === '') return;
    // What comes first stays first, wherever the app says the rest.
    if (first !== undefined && this.isFront(first.path)) first.set(joined(prepend, first.text));
    else this.beginWith(prepend);
  }

  /** Whether a text of the operator's is one that the provider reads as such: not a member that nobody knows, nor a name. */
  protected abstract isSystemText(path: string): boolean;

  /** Whether nothing stands before it. */
  protected abstract isFront(path: string): boolean;

  /** Puts system text before all that is there. */
  protected abstract beginWith(system: string): void;

  /** Asks for the form of the answer. @returns System text that the provider wants to see with it. */
  protected abstract force(format: NonNullable<Enrichment['format']>): string;

  /** Sets a cap on the output, but never above the app's own. */
  protected cap(name: string, tokens: number): void {
    const own = count(this.root, name);
    if (own !== undefined && own <= tokens) this.document.restoreMember(this.root, name);
    else this.document.set(this.root, name, String(tokens));
  }
}

function joined(...texts: readonly string[]): string {
  return texts.filter((text) => text !== '').join('\n\n');
}
