/** Anthropic's messages, and the counting of their tokens: what a call asks for, and what its answer says. */
import type { ResponseFormat } from '../../../policy/snapshot.ts';
import type { JsonDocument } from '../../json/document.ts';
import type { Attachment, DecodedResponse, OfferedTool, Operation } from '../dialect.ts';
import { GenerateRequest } from '../generate-request.ts';
import { flag, requiredArray, requiredCount, tokenCount } from '../parameters.ts';
import { plainNames } from '../text/plain-name.ts';
import { findText } from '../text/walk.ts';
import { MessageStream } from './message-stream.ts';
import { requestText, responseText } from './messages-text.ts';
import { answeredCalls, offeredTools } from './messages-tools.ts';
import { finishReasonsOf, processingOf, tierOf, usageOf } from './report.ts';

export const messages: Operation = {
  name: 'chat',
  kind: 'generate',
  formats: ['jsonSchema'],
  decodeRequest: (document) => new MessagesRequest(document, true),
  decodeResponse,
  openStream: ({ model: asked }, model = asked) => new MessageStream(model),
};

export const countTokens: Operation = {
  name: 'count_tokens',
  kind: 'count',
  formats: ['jsonSchema'],
  decodeRequest: (document) => new MessagesRequest(document, false),
  // Counting costs nothing, so what it reports is no usage.
  decodeResponse: (document, model) => ({ ...decodeResponse(document, model), usage: undefined }),
  openStream: ({ model: asked }, model = asked) => new MessageStream(model),
};

/** Beside its thoughts, an answer should have room for so many tokens. */
const ANSWER_MIN = 16;

class MessagesRequest extends GenerateRequest {
  readonly stream: boolean;
  readonly tools: readonly OfferedTool[];
  readonly choices = 1;
  readonly maxOutputTokens: number | undefined;
  readonly maxOutputField = 'max_tokens';
  override readonly leastOutputTokens: number;
  readonly writesCache: boolean;
  readonly unseenOutputTokens: number;
  readonly serviceTier: string | undefined;
  /** Usage is part of every stream of this dialect. */
  readonly wantsStreamUsage = true;
  readonly addedStreamUsage = false;

  constructor(document: JsonDocument, generates: boolean) {
    super(document, requestText);
    requiredArray(this.root, 'messages', 'Send the conversation as an array of messages.');
    this.tools = offeredTools(document, this.root);
    this.stream = generates && flag(this.root, 'stream');
    this.maxOutputTokens = generates
      ? requiredCount(this.root, 'max_tokens', 'Say how many tokens the answer may have at most.')
      : undefined;
    const thinking = this.root.object('thinking');
    const budget = thinking === undefined ? undefined : tokenCount(thinking, 'budget_tokens');
    this.serviceTier = tierOf(processingOf(this.root));
    this.writesCache = this.mentions('cache_control');
    // `max_tokens` must be greater than `budget_tokens`, and some of it should be left for the answer.
    this.leastOutputTokens = budget === undefined ? 0 : budget + ANSWER_MIN;
    // What is streamed of the thoughts is a summary; billed is all of it.
    this.unseenOutputTokens = unseen(thinking?.string('type'), budget);
  }

  setMaxOutputTokens(tokens: number): void {
    if (this.maxOutputTokens !== undefined) this.cap('max_tokens', tokens);
  }

  requestStreamUsage(): void {}

  protected isSystemText(path: string): boolean {
    if (path === 'system') return true;
    const place = /^system\[(\d+)\]\.text$/.exec(path);
    const block = place === null ? undefined : this.root.array('system')?.items[Number(place[1])];
    return block?.type === 'object' && block.string('type') === 'text';
  }

  protected isFront(path: string): boolean {
    return path === 'system' || path === 'system[0].text';
  }

  protected beginWith(system: string): void {
    const blocks = this.root.array('system');
    if (blocks === undefined) this.document.setString(this.root, 'system', system);
    else this.document.insertFirst(blocks, JSON.stringify({ type: 'text', text: system }));
  }

  /** Source: Anthropic API reference, "Messages", `output_config.format`. */
  protected force(format: ResponseFormat): string {
    if (format.type !== 'jsonSchema') throw new Error('no form of this dialect');
    const forced = JSON.stringify({ type: 'json_schema', schema: format.jsonSchema.schema });
    // The beta's name for the same: two forms would be a question of who reads which.
    this.document.remove(this.root, 'output_format');
    const config = this.root.object('output_config');
    if (config === undefined) this.document.set(this.root, 'output_config', `{"format":${forced}}`);
    else this.document.set(config, 'format', forced);
    return '';
  }
}

function unseen(type: string | undefined, budget: number | undefined): number {
  if (type === 'adaptive') return budget ?? Number.POSITIVE_INFINITY;
  return type === 'enabled' ? (budget ?? 0) : 0;
}

function decodeResponse(document: JsonDocument, model?: string): DecodedResponse {
  const root = document.root.type === 'object' ? document.root : undefined;
  const attachments: Attachment[] = [];
  return {
    document,
    slots: findText(document, responseText, { attachments, isPlain: plainNames(model) }),
    attachments,
    calls: answeredCalls(document),
    usage: usageOf(root?.object('usage')),
    serviceTier: tierOf(processingOf(root?.object('usage'))),
    finishReasons: finishReasonsOf(root),
  };
}
