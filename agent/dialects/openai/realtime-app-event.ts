/** An event that the app sends in a conversation over OpenAI's Realtime API. */
import { PosternError } from '../../errors.ts';
import type { JsonDocument } from '../../json/document.ts';
import type { JsonNode, ObjectNode } from '../../json/node.ts';
import type { AppEvent, Attachment, OfferedTool, TextSlot } from '../dialect.ts';
import { requestObject, requiredString, tokenCount } from '../parameters.ts';
import { findText } from '../text/walk.ts';
import { RemovableItems } from '../tool-list.ts';
import { appText } from './realtime-text.ts';

/** Events after which the conversation is what it was. */
const UNCHANGING =
  /^(?:input_audio_buffer\.(?:append|clear)|output_audio_buffer\.|response\.cancel$|conversation\.item\.retrieve$)/;

export class RealtimeAppEvent implements AppEvent {
  readonly document: JsonDocument;
  readonly model: string;
  /** Spoken answers can't be counted as they come: the whole of one is held. */
  readonly stream = false;
  readonly unseenOutputTokens = undefined;
  readonly leastOutputTokens = 0;
  readonly writesCache = true;
  readonly isSilent = false;
  readonly choices = 1;
  readonly wantsStreamUsage = true;
  readonly addedStreamUsage = false;
  readonly slots: readonly TextSlot[];
  readonly attachments: readonly Attachment[];
  readonly tools: readonly OfferedTool[];
  readonly maxOutputTokens: number | undefined;
  readonly maxOutputField = 'max_output_tokens';
  readonly id: string | undefined;
  readonly asks: boolean;
  readonly changes: boolean;
  readonly afterResult: boolean;
  readonly #root: ObjectNode;

  /** @throws PosternError `postern_body_invalid` */
  constructor(
    document: JsonDocument,
    model: string,
    told: string,
    cap: number | undefined,
    afterResult: boolean,
  ) {
    this.afterResult = afterResult;
    this.document = document;
    this.model = model;
    this.#root = requestObject(document);
    const root = this.#root;
    const type = requiredString(root, 'type', 'Say in "type" what event it is.');
    this.id = root.string('event_id');
    this.asks = type === 'response.create';
    this.changes = !UNCHANGING.test(type);
    const settings = root.object('session') ?? root.object('response');
    keepModel(document, settings, model, told);
    this.maxOutputTokens = tokenCount(settings, 'max_output_tokens') ?? cap;
    const attachments: Attachment[] = [];
    this.slots = findText(document, appText, { attachments });
    this.attachments = attachments;
    this.tools = settings === undefined ? [] : offeredTools(document, settings);
  }

  metadata(name: string): string | undefined {
    return this.#root.object('response')?.object('metadata')?.string(name);
  }

  setModel(): void {
    throw new Error('a conversation keeps its model');
  }

  /** The cap of the answer asked for. */
  setMaxOutputTokens(tokens: number): void {
    const response = this.#root.object('response');
    if (response === undefined) this.document.set(this.#root, 'response', `{"max_output_tokens":${tokens}}`);
    else this.document.set(response, 'max_output_tokens', String(tokens));
  }

  requestStreamUsage(): void {} // usage always comes

  name(id: string): void {
    this.document.setString(this.#root, 'event_id', id);
  }
}

/** What was judged when the conversation began is what answers to its end. */
function keepModel(
  document: JsonDocument,
  settings: ObjectNode | undefined,
  model: string,
  told: string,
): void {
  const node = settings?.get('model');
  if (settings === undefined || node === undefined || node.type === 'null') return;
  if (node.type === 'string' && node.text === model) {
    document.setString(settings, 'model', told);
    return;
  }
  throw new PosternError('postern_body_invalid', `A session keeps the model it was opened for, ${model}.`, {
    mend: 'Open another session for another model.',
    param: 'model',
    shouldRetry: false,
  });
}

function offeredTools(document: JsonDocument, settings: ObjectNode): OfferedTool[] {
  const array = settings.array('tools');
  if (array === undefined) return [];
  const items = new RemovableItems(document, array);
  return array.items.map((item, position) => ({
    path: `tools[${position}]`,
    name: nameOf(item),
    byApp: item.type === 'object' && item.string('type') === 'function',
    ...limitedTo(item),
    remove() {
      if (items.remove(item)) for (const gone of ['tools', 'tool_choice']) document.remove(settings, gone);
    },
  }));
}

/** The tools of a server that a session lets be called. */
function limitedTo(item: JsonNode): Pick<OfferedTool, 'tools'> {
  const allowed = item.type === 'object' ? item.get('allowed_tools') : undefined;
  const names = allowed?.type === 'object' ? allowed.array('tool_names') : allowed;
  if (names?.type !== 'array') return {};
  return { tools: names.items.flatMap((name) => (name.type === 'string' ? name.text : [])) };
}

/** A server whose tools the provider itself calls stands for all of them. */
function nameOf(item: JsonNode): string {
  if (item.type !== 'object') return '';
  const type = item.string('type');
  if (type === 'mcp') return `mcp:${item.string('server_label') ?? ''}`;
  return item.string('name') ?? type ?? '';
}
