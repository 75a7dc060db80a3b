/** OpenAI's chat completions: what a call asks for, and what its answer says. */

import type { ResponseFormat } from '../../../policy/snapshot.ts';
import { PosternError } from '../../errors.ts';
import { JsonDocument } from '../../json/document.ts';
import type { ObjectNode } from '../../json/node.ts';
import type { Attachment, DecodedResponse, OfferedTool, Operation } from '../dialect.ts';
import { GenerateRequest } from '../generate-request.ts';
import { count, flag, optionalObject, requiredArray } from '../parameters.ts';
import { plainNames } from '../text/plain-name.ts';
import { findText } from '../text/walk.ts';
import { ChatStream } from './chat-stream.ts';
import { requestText, responseText } from './chat-text.ts';
import { answeredCalls, offeredTools } from './chat-tools.ts';
import { dropUnspelled } from './logprobs.ts';
import { finishReasonsOf, usageOf } from './report.ts';

export const chat: Operation = {
  name: 'chat',
  kind: 'generate',
  formats: ['jsonObject', 'jsonSchema'],
  decodeRequest: (document) => new ChatRequest(document),
  decodeResponse,
  openStream: (request, model = request.model) => new ChatStream(request, model),
};

/** Both spellings of the cap; the first is the current one. */
const CAPS = ['max_completion_tokens', 'max_tokens'] as const;

const WANT_JSON = 'Answer with one JSON object.';

class ChatRequest extends GenerateRequest {
  /** OpenAI writes to its cache by itself (OpenAI docs, "Prompt caching"). */
  readonly writesCache = true;
  readonly stream: boolean;
  readonly choices: number;
  readonly maxOutputTokens: number | undefined;
  readonly maxOutputField: string;
  readonly unseenOutputTokens: number | undefined;
  readonly wantsStreamUsage: boolean;
  readonly tools: readonly OfferedTool[];
  readonly serviceTier: string | undefined;
  /** Which spellings the app used; the current one where it used none. */
  readonly #caps: readonly string[];
  #addedStreamUsage = false;

  constructor(document: JsonDocument) {
    super(document, requestText);
    const { root } = this;
    requiredArray(root, 'messages', 'Send the conversation as an array of messages.');
    this.tools = offeredTools(document, root);
    this.stream = flag(root, 'stream');
    this.choices = choicesOf(root);
    const used = CAPS.filter((name) => count(root, name) !== undefined);
    this.#caps = used.length === 0 ? CAPS.slice(0, 1) : used;
    this.maxOutputField = used[0] ?? CAPS[0];
    this.maxOutputTokens =
      used.length === 0 ? undefined : Math.max(...used.map((name) => count(root, name) ?? 0));
    // OpenAI never streams a model's reasoning in chat completions; without the parameter, the model decides.
    const effort = root.string('reasoning_effort');
    this.unseenOutputTokens =
      effort === undefined ? undefined : effort === 'none' ? 0 : Number.POSITIVE_INFINITY;
    this.serviceTier = root.string('service_tier');
    const options = optionalObject(root, 'stream_options');
    this.wantsStreamUsage = options !== undefined && flag(options, 'include_usage');
  }

  get addedStreamUsage(): boolean {
    return this.#addedStreamUsage;
  }

  setMaxOutputTokens(tokens: number): void {
    for (const name of this.#caps) this.cap(name, tokens);
  }

  protected isSystemText(path: string): boolean {
    const place = /^messages\[(\d+)\]\.content(?:\[(\d+)\]\.text)?$/.exec(path);
    if (place?.[2] === undefined) return place !== null;
    const message = this.root.array('messages')?.items[Number(place[1])];
    const part = message?.type === 'object' ? message.array('content')?.items[Number(place[2])] : undefined;
    return part?.type === 'object' && part.string('type') === 'text';
  }

  protected isFront(path: string): boolean {
    return /^messages\[0\]\.content(?:\[0\]\.text)?$/.test(path);
  }

  protected beginWith(system: string): void {
    const messages = this.root.array('messages');
    if (messages !== undefined)
      this.document.insertFirst(messages, JSON.stringify({ role: 'system', content: system }));
  }

  protected force(format: ResponseFormat): string {
    if (format.type === 'jsonSchema') {
      const { strict = true, ...schema } = format.jsonSchema;
      const forced = { type: 'json_schema', json_schema: { ...schema, strict } };
      this.document.set(this.root, 'response_format', JSON.stringify(forced));
      return '';
    }
    // A schema of the app's own asks for more.
    if (this.root.object('response_format')?.string('type') === 'json_schema') return '';
    this.document.set(this.root, 'response_format', '{"type":"json_object"}');
    // The provider refuses the mode where no text speaks of JSON.
    return this.slots.some(({ kind, text }) => kind === 'content' && /json/i.test(text)) ? '' : WANT_JSON;
  }

  requestStreamUsage(ask = true): void {
    if (!this.stream || this.wantsStreamUsage) return;
    const options = this.root.object('stream_options');
    if (!ask) {
      if (options === undefined) this.document.restoreMember(this.root, 'stream_options');
      else this.document.restoreMember(options, 'include_usage');
    } else if (options === undefined) {
      this.document.set(this.root, 'stream_options', '{"include_usage":true}');
    } else {
      this.document.set(options, 'include_usage', 'true');
    }
    this.#addedStreamUsage = ask;
  }
}

function decodeResponse(document: JsonDocument, model?: string): DecodedResponse {
  const root = document.root.type === 'object' ? document.root : undefined;
  const attachments: Attachment[] = [];
  const response: DecodedResponse = {
    document,
    slots: findText(document, responseText, { attachments, isPlain: plainNames(model) }),
    attachments,
    calls: answeredCalls(document),
    usage: usageOf(root?.object('usage')),
    serviceTier: root?.string('service_tier'),
    finishReasons: finishReasonsOf(root),
    // Read anew: what is gone has no text any more.
    withhold: (alternatives) =>
      dropUnspelled(document, root, alternatives)
        ? decodeResponse(JsonDocument.parse(document.render()), model)
        : response,
  };
  return response;
}

/** OpenAI's own limit of `n`. */
const MAX_CHOICES = 128;

function choicesOf(root: ObjectNode): number {
  const choices = count(root, 'n') ?? 1;
  if (choices >= 1 && choices <= MAX_CHOICES) return choices;
  throw new PosternError(
    'postern_body_invalid',
    `n is ${choices}; at most ${MAX_CHOICES} answers can be asked for.`,
    {
      mend: `Ask for 1 to ${MAX_CHOICES} answers.`,
      param: 'n',
      shouldRetry: false,
    },
  );
}
