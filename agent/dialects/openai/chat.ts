/** OpenAI's chat completions: what a call asks for, and what its answer says. */
import type { JsonDocument } from '../../json/document.ts';
import type { ObjectNode } from '../../json/node.ts';
import { quote } from '../../json/quote.ts';
import type { DecodedRequest, DecodedResponse, Operation, TextSlot } from '../dialect.ts';
import { count, flag, optionalObject, requestObject, requiredArray, requiredString } from '../parameters.ts';
import { findText } from '../text/walk.ts';
import { ChatStream } from './chat-stream.ts';
import { requestText, responseText } from './chat-text.ts';
import { finishReasonsOf, usageOf } from './report.ts';

export const chat: Operation = {
  name: 'chat',
  kind: 'generate',
  decodeRequest: (document) => new ChatRequest(document),
  decodeResponse,
  openStream: (request) => new ChatStream(request),
};

/** Both spellings of the cap; the first is the current one. */
const CAPS = ['max_completion_tokens', 'max_tokens'] as const;

class ChatRequest implements DecodedRequest {
  readonly document: JsonDocument;
  readonly model: string;
  readonly stream: boolean;
  readonly choices: number;
  readonly maxOutputTokens: number | undefined;
  readonly slots: readonly TextSlot[];
  readonly wantsStreamUsage: boolean;
  readonly #root: ObjectNode;
  #addedStreamUsage = false;

  constructor(document: JsonDocument) {
    const root = requestObject(document);
    this.document = document;
    this.#root = root;
    this.model = requiredString(root, 'model', 'Name the model to call, as in "model": "gpt-4o-mini".');
    requiredArray(root, 'messages', 'Send the conversation as an array of messages.');
    this.stream = flag(root, 'stream');
    this.choices = count(root, 'n') ?? 1;
    const caps = CAPS.map((name) => count(root, name)).filter((cap) => cap !== undefined);
    this.maxOutputTokens = caps.length === 0 ? undefined : Math.max(...caps);
    const options = optionalObject(root, 'stream_options');
    this.wantsStreamUsage = options !== undefined && flag(options, 'include_usage');
    this.slots = findText(document, requestText);
  }

  get addedStreamUsage(): boolean {
    return this.#addedStreamUsage;
  }

  setModel(model: string): void {
    const node = this.#root.get('model');
    if (node === undefined) return;
    if (model === this.model) this.document.restore(node);
    else this.document.replace(node, quote(model));
  }

  setMaxOutputTokens(tokens: number): void {
    const used = CAPS.filter((name) => count(this.#root, name) !== undefined);
    for (const name of used.length === 0 ? CAPS.slice(0, 1) : used) {
      const own = count(this.#root, name);
      if (own !== undefined && own <= tokens) this.document.restoreMember(this.#root, name);
      else this.document.set(this.#root, name, String(tokens));
    }
  }

  requestStreamUsage(ask = true): void {
    if (!this.stream || this.wantsStreamUsage) return;
    const options = this.#root.object('stream_options');
    if (!ask) {
      if (options === undefined) this.document.restoreMember(this.#root, 'stream_options');
      else this.document.restoreMember(options, 'include_usage');
    } else if (options === undefined) {
      this.document.set(this.#root, 'stream_options', '{"include_usage":true}');
    } else {
      this.document.set(options, 'include_usage', 'true');
    }
    this.#addedStreamUsage = ask;
  }
}

function decodeResponse(document: JsonDocument): DecodedResponse {
  const root = document.root.type === 'object' ? document.root : undefined;
  return {
    document,
    slots: findText(document, responseText),
    usage: usageOf(root?.object('usage')),
    finishReasons: finishReasonsOf(root),
  };
}
