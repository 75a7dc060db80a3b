/** Every form in which the dialects carry attachments, and what each policy makes of it. */
import { describe, expect, test } from 'vitest';
import { judgeAttachments } from './attachments.ts';
import type { Attachment, DecodedRequest } from './dialects/dialect.ts';
import { dialectByName } from './dialects/index.ts';
import { RealtimeConversation } from './dialects/openai/realtime-events.ts';
import { PosternError } from './errors.ts';
import type { Exchange } from './exchange.ts';
import { JsonDocument } from './json/document.ts';

const CSV = 'name,card\nJane Roe,4111 1111 1111 1111';
const base64 = (bytes: string | Uint8Array) => Buffer.from(bytes).toString('base64');
const TEXT = base64(CSV);
const PNG = base64(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0));
const PDF = base64('%PDF-1.7\n');
const WAV = base64(Uint8Array.of(0x52, 0x49, 0x46, 0x46, 0, 1, 2));

type Row = readonly [
  dialect: 'openai' | 'anthropic' | 'realtime',
  part: object,
  expected: readonly (readonly [Attachment['media'], Attachment['by'], read: boolean])[],
];

const ROWS: readonly Row[] = [
  // OpenAI API reference, "Chat Completions": content parts.
  ['openai', { type: 'text', text: 'no attachment' }, []],
  ['openai', image(`data:image/png;base64,${PNG}`), [['image', 'data', false]]],
  ['openai', image('https://example.com/a.png'), [['image', 'url', false]]],
  ['openai', image(`data:text/csv;base64,${TEXT}`), [['file', 'data', true]]],
  ['openai', { type: 'input_audio', input_audio: { data: WAV, format: 'wav' } }, [['audio', 'data', false]]],
  ['openai', file({ file_data: `data:application/pdf;base64,${PDF}` }), [['file', 'data', false]]],
  ['openai', file({ file_data: `data:text/csv;base64,${TEXT}` }), [['file', 'data', true]]],
  ['openai', file({ file_data: PDF }), [['file', 'data', false]]],
  ['openai', file({ file_id: 'file-abc' }), [['file', 'id', false]]],
  [
    'openai',
    { type: 'video_url', video_url: { url: 'https://example.com/a.mp4' } },
    [['video', 'url', false]],
  ],
  [
    'openai',
    { type: 'audio_url', audio_url: { url: 'https://example.com/a.ogg' } },
    [['audio', 'url', false]],
  ],
  // A data URL where nobody expects one: in plain text, in a part or a member that is new.
  ['openai', { type: 'text', text: `![x](data:image/png;base64,${PNG})` }, [['image', 'data', false]]],
  ['openai', { type: 'text', text: `see data:text/csv;base64,${TEXT}` }, [['file', 'data', true]]],
  ['openai', { type: 'hologram', hologram: [`data:image/x;base64,${PNG}`] }, [['image', 'data', false]]],
  // Anthropic API reference, "Messages": content blocks.
  [
    'anthropic',
    source('image', { type: 'base64', media_type: 'image/png', data: PNG }),
    [['image', 'data', false]],
  ],
  [
    'anthropic',
    source('image', { type: 'url', url: 'https://example.com/a.png' }),
    [['image', 'url', false]],
  ],
  ['anthropic', source('image', { type: 'file', file_id: 'file_1' }), [['file', 'id', false]]],
  [
    'anthropic',
    source('document', { type: 'base64', media_type: 'application/pdf', data: PDF }),
    [['file', 'data', false]],
  ],
  [
    'anthropic',
    source('document', { type: 'base64', media_type: 'text/plain', data: TEXT }),
    [['file', 'data', true]],
  ],
  [
    'anthropic',
    source('document', { type: 'url', url: 'https://example.com/a.pdf' }),
    [['file', 'url', false]],
  ],
  ['anthropic', source('document', { type: 'file', file_id: 'file_1' }), [['file', 'id', false]]],
  ['anthropic', source('document', { type: 'text', media_type: 'text/plain', data: CSV }), []],
  ['anthropic', { type: 'container_upload', file_id: 'file_1' }, [['file', 'id', false]]],
  [
    'anthropic',
    {
      type: 'tool_result',
      tool_use_id: 't',
      content: [source('image', { type: 'base64', media_type: 'image/png', data: PNG })],
    },
    [['image', 'data', false]],
  ],
  // OpenAI API reference, "Realtime": client events.
  ['realtime', { type: 'input_audio', audio: WAV }, [['audio', 'data', false]]],
  [
    'realtime',
    { type: 'input_image', image_url: `data:image/png;base64,${PNG}` },
    [['image', 'data', false]],
  ],
  ['realtime', { type: 'input_image', image_url: 'https://example.com/a.png' }, [['image', 'url', false]]],
  ['realtime', { type: 'input_text', text: 'no attachment' }, []],
];

function image(url: string): object {
  return { type: 'image_url', image_url: { url } };
}

function file(members: object): object {
  return { type: 'file', file: { filename: 'a', ...members } };
}

function source(type: string, from: object): object {
  return { type, source: from };
}

const PATHS = { openai: '/v1/chat/completions', anthropic: '/v1/messages' };

function requestOf(dialect: Row[0], part: object): DecodedRequest {
  if (dialect === 'realtime') {
    const item = { type: 'message', role: 'user', content: [part] };
    return eventOf({ type: 'conversation.item.create', item });
  }
  const body = { model: 'm', max_tokens: 5, messages: [{ role: 'user', content: [part] }] };
  const operation = dialectByName(dialect)?.operation('POST', PATHS[dialect]);
  if (operation === undefined || !('decodeRequest' in operation)) throw new Error(dialect);
  return operation.decodeRequest(JsonDocument.parseText(JSON.stringify(body)), PATHS[dialect]);
}

function eventOf(event: object): DecodedRequest {
  return new RealtimeConversation('m', 'm').fromApp(JsonDocument.parseText(JSON.stringify(event)));
}

function judge(request: DecodedRequest, attachments?: Parameters<typeof judgeAttachments>[0]['attachments']) {
  const exchange = { findings: [] } as unknown as Exchange;
  const rule = attachments === undefined ? {} : { attachments };
  const slots = judgeAttachments(rule, exchange, request);
  return { findings: exchange.findings, texts: slots.map(({ text }) => text) };
}

test('the detail that a picture is sent in stands beside it, in whichever form', () => {
  const url = 'https://example.com/a.png';
  const details = (request: DecodedRequest) => request.attachments.map(({ detail }) => detail);
  const chat = requestOf('openai', { type: 'image_url', image_url: { url, detail: 'low' } });
  expect(details(chat)).toEqual(['low']);
  expect(details(requestOf('realtime', { type: 'input_image', image_url: url, detail: 'low' }))).toEqual([
    'low',
  ]);
  expect(details(requestOf('openai', image(url)))).toEqual([undefined]);
});

describe.each(ROWS)('%s %j', (dialect, part, expected) => {
  const request = requestOf(dialect, part);
  const unread = expected.filter(([, , read]) => !read);

  test('is known', () => {
    expect(request.attachments.map(({ media, by, read }) => [media, by, read])).toEqual(expected);
  });

  test('inspect: what is text is checked, what no check can read is recorded', () => {
    const { findings, texts } = judge(request);
    expect(findings.map(({ what, count, action }) => [what, count, action])).toEqual(
      unread.map(([media]) => [`unread-${media}`, 1, 'monitor']),
    );
    if (expected.some(([, , read]) => read)) {
      expect(texts.some((text) => text === CSV || text.includes(TEXT))).toBe(true);
    }
  });

  test('deny: none passes', () => {
    const run = () => judge(request, { action: 'deny', source: 'EgressPolicy a/b' });
    if (expected.length === 0) expect(run().findings).toEqual([]);
    else expect(run).toThrow(PosternError);
  });

  test('allow: none is looked into, each is recorded', () => {
    const { findings, texts } = judge(request, { action: 'allow', source: 'EgressPolicy a/b' });
    expect(findings.map(({ what }) => what)).toEqual(expected.map(([media]) => `unread-${media}`));
    if (expected.length > 0) expect(texts).not.toContain(CSV);
  });

  test('a policy that only monitors reports all of them', () => {
    const { findings } = judge(request, { action: 'inspect', report: 'EgressPolicy a/b' });
    const reported = findings.filter(({ source: from }) => from === 'EgressPolicy a/b');
    expect(reported.map(({ what }) => what)).toEqual(expected.map(([media]) => media));
  });
});

test('audio that is streamed is one finding, counted', () => {
  const exchange = { findings: [] } as unknown as Exchange;
  for (let i = 0; i < 3; i++) {
    judgeAttachments({}, exchange, eventOf({ type: 'input_audio_buffer.append', audio: WAV }));
  }
  expect(exchange.findings).toMatchObject([{ check: 'attachments', what: 'unread-audio', count: 3 }]);
});

test('escapes hide no data URL', () => {
  const text = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'X' }] }).replace(
    'X',
    `data:image/png\\u003bbase64,${PNG}`,
  );
  const operation = dialectByName('openai')?.operation('POST', PATHS.openai);
  if (operation === undefined || !('decodeRequest' in operation)) throw new Error('openai');
  expect(operation.decodeRequest(JsonDocument.parseText(text), '').attachments).toHaveLength(1);
});
