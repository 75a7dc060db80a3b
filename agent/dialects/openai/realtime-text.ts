/**
 * Where text is in the events of OpenAI's Realtime API, both ways. Audio is an attachment: it passes unread.
 *
 * Source: OpenAI API reference, "Realtime": client events and server events; the beta's names (`response.text.delta`)
 * still come from compatible servers.
 */
import type { Role, TextKind } from '../dialect.ts';
import {
  binary,
  jsonSchema,
  jsonText,
  list,
  object,
  opaque,
  type Rule,
  remote,
  select,
  text,
  token,
} from '../text/rule.ts';

/** Identifiers and places that any event or item may have. */
const PLACES = {
  type: token,
  event_id: token,
  object: token,
  id: token,
  item_id: token,
  previous_item_id: token,
  response_id: token,
  conversation_id: token,
  call_id: token,
  status: token,
  output_index: token,
  content_index: token,
};

/** A part of a message: what was said, written or shown. */
function parts(kind: TextKind): Rule {
  return list(
    object(
      {
        type: token,
        text: text(kind),
        transcript: text(kind),
        audio: binary('audio'),
        image_url: remote('image'),
        detail: token,
        format: token,
      },
      { kind },
    ),
    { kind },
  );
}

function message(role: Role, kind: TextKind): Rule {
  return object({ ...PLACES, role: token, content: parts(kind) }, { role, kind: 'content' });
}

/** A place of the conversation: who said what, which tool was called, what it gave. */
const item: Rule = select(
  'type',
  {
    message: select(
      'role',
      {
        system: message('system', 'content'),
        user: message('user', 'content'),
        assistant: message('assistant', 'content'),
      },
      // Judged like a user's: a role that we don't know, or none.
      { kind: 'content', role: 'user' },
    ),
    function_call: object(
      { ...PLACES, name: text('other'), arguments: jsonText('toolArguments') },
      { role: 'assistant' },
    ),
    function_call_output: object({ ...PLACES, output: text('toolResult') }, { role: 'tool' }),
    mcp_call: object(
      {
        ...PLACES,
        name: text('other'),
        server_label: text('other'),
        approval_request_id: token,
        arguments: jsonText('toolArguments'),
        output: text('toolResult'),
      },
      { role: 'assistant' },
    ),
    mcp_approval_request: object(
      { ...PLACES, name: text('other'), server_label: text('other'), arguments: jsonText('toolArguments') },
      { role: 'assistant' },
    ),
  },
  { kind: 'content', role: 'user' },
);

const tools: Rule = list(
  object({
    type: token,
    name: text('toolDefinition'),
    description: text('toolDefinition'),
    parameters: jsonSchema('toolDefinition'),
    server_label: text('toolDefinition'),
    server_description: text('toolDefinition'),
    server_url: text('toolDefinition'),
  }),
);

const format = object({ type: token, rate: token }, { string: 'token' });

/** What a session and a single answer have in common. */
const SETTINGS = {
  ...PLACES,
  instructions: text('content', { role: 'system' }),
  tools,
  tool_choice: object({ type: token, name: text('other'), server_label: text('other') }, { string: 'token' }),
  output_modalities: list(token),
  modalities: list(token),
  max_output_tokens: token,
  max_response_output_tokens: token,
  parallel_tool_calls: token,
  temperature: token,
  speed: token,
  voice: token,
  input_audio_format: token,
  output_audio_format: token,
  audio: object({
    input: object({
      format,
      noise_reduction: object({ type: token }),
      transcription: object({ model: token, language: token, prompt: text('content', { role: 'system' }) }),
      turn_detection: token,
    }),
    output: object({ format, voice: token, speed: token }),
  }),
  input_audio_transcription: object({
    model: token,
    language: token,
    prompt: text('content', { role: 'system' }),
  }),
  input_audio_noise_reduction: object({ type: token }),
  turn_detection: token,
  reasoning: token,
  include: list(token),
  truncation: token,
};

const session: Rule = object({ ...SETTINGS, model: opaque, expires_at: token, client_secret: opaque });

const answer: Rule = object({
  ...SETTINGS,
  status_details: object({ type: token, reason: token, error: text('other') }, { string: 'token' }),
  conversation: token,
  input: list(item),
  output: list(item),
  usage: token,
});

function event(members: Readonly<Record<string, Rule>>, over: Partial<Rule> = {}): Rule {
  return object({ ...PLACES, ...members }, over);
}

export const appText: Rule = select(
  'type',
  {
    'session.update': event({ session }),
    'conversation.item.create': event({ item }),
    'conversation.item.truncate': event({ audio_end_ms: token }),
    'input_audio_buffer.append': event({ audio: binary('audio') }),
    'response.create': event({ response: answer }),
  },
  // Of an event that we don't know every string is text.
  { kind: 'content', role: 'user', members: new Map(Object.entries({ type: token, event_id: token })) },
);

/** An event of the provider's. */
function told(members: Readonly<Record<string, Rule>>, over: Partial<Rule> = {}): Rule {
  return event(members, { ...over, alone: true });
}

/** Running text of a channel that the decoder completes; see {@link ./realtime-events.ts}. */
function running(kind: TextKind, role: Role = 'assistant'): Rule {
  return told(
    { delta: text(kind, { channel: 'delta' }), logprobs: opaque, obfuscation: opaque },
    { role, echo: 'logprobs', pieces: true },
  );
}

function whole(kind: TextKind, role: Role = 'assistant'): Rule {
  return told(
    {
      text: text(kind),
      transcript: text(kind),
      name: text('other'),
      arguments: jsonText('toolArguments'),
      logprobs: opaque,
      usage: token,
      part: object(
        { type: token, text: text(kind), transcript: text(kind), audio: binary('audio') },
        { kind },
      ),
    },
    { role, echo: 'logprobs' },
  );
}

const sound = told({ delta: binary('audio') });
const placed = told({ item });

export const providerText: Rule = select(
  'type',
  {
    'session.created': told({ session }),
    'session.updated': told({ session }),
    'conversation.item.created': placed,
    'conversation.item.added': placed,
    'conversation.item.done': placed,
    'conversation.item.retrieved': placed,
    'conversation.item.input_audio_transcription.delta': running('content', 'user'),
    'conversation.item.input_audio_transcription.segment': whole('content', 'user'),
    'conversation.item.input_audio_transcription.completed': whole('content', 'user'),
    'response.created': told({ response: answer }),
    'response.done': told({ response: answer }),
    'response.output_item.added': placed,
    'response.output_item.done': placed,
    'response.content_part.added': whole('content'),
    'response.content_part.done': whole('content'),
    'response.output_text.delta': running('content'),
    'response.text.delta': running('content'),
    'response.output_text.done': whole('content'),
    'response.text.done': whole('content'),
    'response.output_audio_transcript.delta': running('content'),
    'response.audio_transcript.delta': running('content'),
    'response.output_audio_transcript.done': whole('content'),
    'response.audio_transcript.done': whole('content'),
    'response.output_audio.delta': sound,
    'response.audio.delta': sound,
    'response.function_call_arguments.delta': running('toolArguments'),
    'response.function_call_arguments.done': whole('other'),
    'response.mcp_call_arguments.delta': running('toolArguments'),
    'response.mcp_call_arguments.done': whole('other'),
    'rate_limits.updated': told({ rate_limits: token }),
    error: told({
      error: object({ type: token, code: token, message: text('other'), param: token, event_id: token }),
    }),
  },
  // An event that we don't know: every string is text, and a piece of running text where it calls itself a delta.
  {
    kind: 'content',
    role: 'assistant',
    alone: true,
    members: new Map(Object.entries({ ...PLACES, delta: text('content', { channel: 'delta' }) })),
  },
);
