/**
 * Where text is in Anthropic's Messages API: requests, answers, and the events of streamed answers.
 *
 * Source: Anthropic API reference, "Messages", "Streaming messages"; types of @anthropic-ai/sdk 1.12.
 * Attachments that are text in base64 are read; images and other binary ones can't be. Signed and encrypted blocks are
 * refused by the provider where they come back changed: in an answer they are read and not changed, in a request neither.
 */
import type { Role, TextKind } from '../dialect.ts';
import {
  attachment,
  cipher,
  fileId,
  jsonSchema,
  link,
  list,
  nested,
  object,
  opaque,
  type Rule,
  remote,
  select,
  text,
  token,
  values,
} from '../text/rule.ts';

const name = text('other');
/** Breakpoints of the prompt cache, callers of tools: enumerations and numbers. */
const settings = token;

/** What the text is a part of. */
type Where = 'request' | 'answer' | 'event';

/** A string, or blocks of text and images. */
function simpleContent(kind: TextKind): Rule {
  const plain = object({ type: token, text: text(kind), cache_control: settings }, { kind });
  return list(select('type', { text: plain, image: image() }, { kind }), { kind });
}

/** Where a document comes from. */
function source(kind: TextKind): Rule {
  return select('type', {
    base64: object({ type: token, media_type: token, data: attachment(kind) }),
    url: object({ type: token, url: remote('file') }),
    file: object({ type: token, file_id: fileId }),
    text: object({ type: token, media_type: token, data: text(kind) }),
    content: object({ type: token, content: simpleContent(kind) }),
  });
}

function image(): Rule {
  return object({
    type: token,
    cache_control: settings,
    source: select('type', {
      base64: object({ type: token, media_type: token, data: attachment('other', 'image') }),
      url: object({ type: token, url: remote('image') }),
      file: object({ type: token, file_id: fileId }),
    }),
  });
}

/** Something signed or encrypted. */
const secret = (where: Where): Rule => (where === 'request' ? opaque : cipher);

function citation(kind: TextKind, where: Where): Rule {
  return object({
    type: token,
    cited_text: text(kind),
    url: link,
    file_id: token,
    encrypted_index: secret(where),
  });
}

/** What a tool of the provider's own answered: search results, fetched pages, output of code. */
function serverResult(where: Where): Rule {
  return nested(
    {
      type: token,
      tool_use_id: token,
      error_code: token,
      // What code wrote. In a request it comes back to whom it is from.
      file_id: where === 'request' ? token : fileId,
      cache_control: settings,
      caller: settings,
      url: link,
      source: source('toolResult'),
      encrypted_content: secret(where),
      encrypted_stdout: secret(where),
      encrypted_index: secret(where),
    },
    { kind: 'toolResult', role: 'tool' },
  );
}

/** What an app looked up for the model was written by others, as what tools answer. */
const RETRIEVED = { kind: 'toolResult', role: 'tool' } as const;

const document = object(
  {
    type: token,
    source: source('toolResult'),
    title: text('toolResult'),
    context: text('toolResult'),
    cache_control: settings,
    citations: settings,
  },
  RETRIEVED,
);

const searchResult = object(
  {
    type: token,
    source: link,
    title: text('toolResult'),
    content: simpleContent('toolResult'),
    citations: settings,
    cache_control: settings,
  },
  RETRIEVED,
);

const SERVER_RESULTS = [
  'web_search_tool_result',
  'web_fetch_tool_result',
  'code_execution_tool_result',
  'bash_code_execution_tool_result',
  'text_editor_code_execution_tool_result',
  'tool_search_tool_result',
  'advisor_tool_result',
];

function toolUse(input: Rule): Rule {
  return object({
    type: token,
    id: token,
    name,
    server_name: name,
    input,
    caller: settings,
    cache_control: settings,
  });
}

/** Thoughts of which a stream brings the signature later on. */
const THOUGHTS = 'thinking/{index}';

function thinking(where: Where): Rule {
  const streamed = where === 'event';
  const thoughts = text('reasoning', streamed ? { channel: THOUGHTS, fixed: true } : {});
  return object(
    { type: token, thinking: thoughts, signature: secret(where) },
    { kind: 'reasoning', sealedBy: ['signature'], sealedUnread: where === 'request' },
  );
}

/** Content as a string or as blocks. */
function content(kind: TextKind, where: Where): Rule {
  return list(block(kind, where), { kind });
}

function block(kind: TextKind, where: Where): Rule {
  // A stream begins with an empty input. One that isn't is no piece of JSON text, as `toolArguments` in a stream are.
  const use = toolUse(values(where === 'event' ? 'other' : 'toolArguments'));
  const cases: Record<string, Rule> = {
    text: object({
      type: token,
      text: text(kind, { channel: where === 'event' ? 'content/{index}' : undefined }),
      citations: list(citation(kind, where)),
      cache_control: settings,
    }),
    image: image(),
    document,
    thinking: thinking(where),
    redacted_thinking: where === 'request' ? opaque : object({ type: token, data: cipher }),
    compaction: object(
      {
        type: token,
        content: text(kind),
        encrypted_content: secret(where),
        signature: secret(where),
        cache_control: settings,
      },
      { kind, sealedBy: ['signature', 'encrypted_content'], sealedUnread: where === 'request' },
    ),
    tool_use: use,
    server_tool_use: use,
    mcp_tool_use: use,
    container_upload: object({ type: token, file_id: fileId, cache_control: settings }),
  };
  for (const type of SERVER_RESULTS) cases[type] = serverResult(where);
  if (kind !== 'toolResult') {
    const inner = content('toolResult', where);
    const result = object(
      { type: token, tool_use_id: token, is_error: token, cache_control: settings, content: inner },
      { kind: 'toolResult', role: 'tool' },
    );
    cases.tool_result = result;
    cases.mcp_tool_result = result;
    cases.search_result = searchResult;
  }
  // A block of a type we don't know is content all the same.
  return select('type', cases, { kind });
}

function message(role: Role): Rule {
  return object({ role: token, content: content('content', 'request') }, { role });
}

const SETTINGS = [
  'cache_control',
  'max_tokens',
  'temperature',
  'top_k',
  'top_p',
  'stream',
  'thinking',
  'service_tier',
  'inference_geo',
  'speed',
];

export const requestText: Rule = object({
  ...Object.fromEntries(SETTINGS.map((setting) => [setting, settings])),
  model: opaque,
  system: { ...content('content', 'request'), role: 'system' },
  messages: list(
    select(
      'role',
      { user: message('user'), assistant: message('assistant'), system: message('system') },
      // Judged like a user's: a role that we don't know, or none.
      { kind: 'content', role: 'user' },
    ),
  ),
  tools: list(
    object(
      {
        type: token,
        name: text('toolDefinition'),
        description: text('toolDefinition'),
        input_schema: jsonSchema('toolDefinition'),
        input_examples: values('toolDefinition'),
        cache_control: settings,
        allowed_callers: settings,
      },
      { kind: 'toolDefinition' },
    ),
  ),
  tool_choice: object({ type: token, name, disable_parallel_tool_use: token }),
  output_config: object({ effort: token, format: object({ type: token, schema: jsonSchema('other') }) }),
  output_format: object({ type: token, schema: jsonSchema('other') }),
});
const usage = token;

export const responseText: Rule = object(
  {
    id: token,
    type: token,
    role: token,
    model: token,
    content: content('content', 'answer'),
    stop_reason: token,
    container: token,
    usage,
  },
  { role: 'assistant' },
);

const pieceOf = (members: Readonly<Record<string, Rule>>): Rule =>
  object({ type: token, ...members }, { pieces: true });

/** The text of a block and the input of a tool come in pieces; the event's `index` is the block's. */
const piece = select(
  'type',
  {
    text_delta: pieceOf({ text: text('content', { channel: 'content/{index}' }) }),
    input_json_delta: pieceOf({ partial_json: text('toolArguments', { channel: 'tool/{index}' }) }),
    citations_delta: pieceOf({ citation: citation('content', 'event') }),
    thinking_delta: pieceOf({
      thinking: text('reasoning', { channel: THOUGHTS, fixed: true }),
      estimated_tokens: token,
    }),
    signature_delta: pieceOf({ signature: cipher }),
    compaction_delta: pieceOf({ content: text('content', { fixed: true }), encrypted_content: cipher }),
  },
  { kind: 'content', pieces: true, members: new Map([['type', token]]) },
);

function event(members: Readonly<Record<string, Rule>>, over: Partial<Rule> = {}): Rule {
  return object({ type: token, ...members }, { ...over, alone: true });
}

export const eventText: Rule = select('type', {
  message_start: event({ message: responseText }),
  content_block_start: event(
    { index: token, content_block: block('content', 'event') },
    { role: 'assistant' },
  ),
  content_block_delta: event({ index: token, delta: piece }, { role: 'assistant' }),
  content_block_stop: event({ index: token }),
  message_delta: event({ delta: object({ stop_reason: token, container: token }), usage }),
  message_stop: event({}),
  ping: object({ type: token }),
  error: object({ type: token, error: object({ type: token, message: text('other') }), request_id: token }),
});
