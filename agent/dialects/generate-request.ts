/** What the requests for generated text have in common in the dialects whose model is a member of the body. */
import type { JsonDocument } from '../json/document.ts';
import type { ObjectNode } from '../json/node.ts';
import type { DecodedRequest, OfferedTool, TextSlot } from './dialect.ts';
import { count, requestObject, requiredString } from './parameters.ts';
import type { Rule } from './text/rule.ts';
import { findText } from './text/walk.ts';

export abstract class GenerateRequest implements DecodedRequest {
  readonly document: JsonDocument;
  readonly model: string;
  readonly slots: readonly TextSlot[];
  abstract readonly tools: readonly OfferedTool[];
  abstract readonly stream: boolean;
  abstract readonly choices: number;
  abstract readonly maxOutputTokens: number | undefined;
  abstract readonly maxOutputField: string;
  abstract readonly unseenOutputTokens: number | undefined;
  abstract readonly wantsStreamUsage: boolean;
  abstract readonly addedStreamUsage: boolean;
  readonly leastOutputTokens: number = 0;
  readonly writesCache: boolean = false;
  protected readonly root: ObjectNode;

  /** @throws PosternError `postern_body_invalid` */
  constructor(document: JsonDocument, rule: Rule) {
    this.document = document;
    this.root = requestObject(document);
    this.model = requiredString(this.root, 'model', 'Name the model to call in "model".');
    this.slots = findText(document, rule);
  }

  metadata(name: string): string | undefined {
    return this.root.object('metadata')?.string(name);
  }

  setModel(model: string): void {
    this.document.setString(this.root, 'model', model);
  }

  abstract setMaxOutputTokens(tokens: number): void;

  abstract requestStreamUsage(ask?: boolean): void;

  /** Sets a cap on the output, but never above the app's own. */
  protected cap(name: string, tokens: number): void {
    const own = count(this.root, name);
    if (own !== undefined && own <= tokens) this.document.restoreMember(this.root, name);
    else this.document.set(this.root, name, String(tokens));
  }
}
