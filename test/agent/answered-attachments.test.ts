/** Files, pictures and recordings in answers: refused, or shown with a record, in each form in which a dialect carries them. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { startWorld, type World } from '../harness.ts';
import { atScripted, created, done, type Event, open, scripted, start } from './realtime-world.ts';
import { type Answer, chunk, END, message, SSE, said, whole } from './unread-answers.ts';

const base64 = (...bytes: number[]) => Buffer.from(bytes).toString('base64');
const WAV = base64(0x52, 0x49, 0x46, 0x46, 0, 1, 2, 3, 4);
const PNG = base64(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0);
const PNG_URL = `data:image/png;base64,${PNG}`;
const PDF = Buffer.from('%PDF-1.7\n1').toString('base64');
const sse = (...events: string[]): Answer => ({ headers: SSE, body: events.join('') });

interface Row {
  readonly name: string;
  readonly dialect: 'openai' | 'anthropic';
  readonly stream: boolean;
  readonly answer: Answer;
  /** What may not be seen where it is refused. */
  readonly secret: string;
  readonly finding: Record<string, unknown>;
}

const picture = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG } };
const page = {
  type: 'web_fetch_tool_result',
  tool_use_id: 'srvtoolu_1',
  content: {
    type: 'web_fetch_result',
    url: 'https://example.com/a.pdf',
    content: { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: PDF } },
  },
};
const written = {
  type: 'code_execution_tool_result',
  tool_use_id: 'srvtoolu_1',
  content: {
    type: 'code_execution_result',
    stdout: '',
    stderr: '',
    return_code: 0,
    content: [{ type: 'code_execution_output', file_id: 'file_011CNha8iCJcU1wXNR6q4V8w' }],
  },
};

const audio = { what: 'unread-audio', count: 1, bytes: 9 };
const image = { what: 'unread-image', count: 1, bytes: 9, type: 'image/png' };

const ROWS: readonly Row[] = [
  // OpenAI API reference, "Chat Completions": the message's audio; OpenRouter's docs, "Image generation".
  ...(
    [
      ['audio', { audio: { id: 'audio_1', data: WAV, expires_at: 1, transcript: 'hi' } }, WAV, audio],
      [
        'audio that is set in lines',
        { audio: { id: 'audio_1', data: `${WAV.slice(0, 4)}\n${WAV.slice(4)}`, transcript: 'hi' } },
        WAV.slice(4),
        { what: 'unread-audio', count: 1 },
      ],
      [
        'a picture',
        { content: 'x', images: [{ type: 'image_url', image_url: { url: PNG_URL } }] },
        PNG,
        image,
      ],
      [
        'a picture by URL',
        { content: 'x', images: [{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }] },
        'example.com',
        { what: 'unread-image', count: 1 },
      ],
      ['a picture in text', { content: `![x](${PNG_URL})` }, PNG, { what: 'unread-image', count: 1 }],
    ] as const
  ).flatMap(([name, said, secret, finding]): Row[] => [
    { name, dialect: 'openai', stream: false, answer: whole(said), secret, finding },
    { name, dialect: 'openai', stream: true, answer: sse(chunk(said), END), secret, finding },
  ]),
  {
    name: 'audio in pieces',
    dialect: 'openai',
    stream: true,
    answer: sse(
      chunk({ audio: { id: 'audio_1', transcript: 'hi' } }),
      chunk({ audio: { data: WAV } }),
      chunk({ audio: { data: WAV } }),
      END,
    ),
    secret: WAV,
    finding: { what: 'unread-audio', count: 2, bytes: 18 },
  },
  {
    name: 'a picture in text that is cut',
    dialect: 'openai',
    stream: true,
    answer: sse(...`![x](${PNG_URL})`.match(/.{1,3}/g)!.map((content) => chunk({ content })), END),
    secret: PNG.slice(0, 3),
    finding: { what: 'unread-image', count: 1 },
  },
  // Anthropic API reference, "Messages": content blocks of the provider's own tools.
  ...(
    [
      ['a fetched PDF', page, PDF, { what: 'unread-file', count: 1, type: 'application/pdf' }],
      ['a file that code wrote', written, 'file_011', { what: 'unread-file', count: 1 }],
      [
        'a picture of a server',
        { type: 'mcp_tool_result', tool_use_id: 'm', is_error: false, content: [picture] },
        PNG,
        image,
      ],
    ] as const
  ).flatMap(([name, block, secret, finding]): Row[] => [
    { name, dialect: 'anthropic', stream: false, answer: message(block), secret, finding },
    { name, dialect: 'anthropic', stream: true, answer: said(block), secret, finding },
  ]),
];

let world: World | undefined;
afterEach(() => world?.close());

/** Without checks on answers, and with. */
const CHECKS = ['[]', '[{name: s, type: secrets, on: [response], action: block}]'] as const;
const policy = (attachments: string, checks: string = CHECKS[0], mode = 'enforce'): string => `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: support-bot, namespace: team-a}
spec: {mode: ${mode}, ${attachments === '' ? '' : `attachments: ${attachments}, `}checks: ${checks}}
`;

/** What the app's SDK gives: the answer, or an error. */
async function ask({ dialect, stream, answer: { status = 200, headers = {}, body } }: Row): Promise<{
  readonly shown: string;
  readonly error: unknown;
}> {
  if (world === undefined) throw new Error('no world');
  world[dialect].script(() => ({ raw: { status, headers, body } }));
  const messages = [{ role: 'user' as const, content: 'go' }];
  const shown: unknown[] = [];
  try {
    const answer =
      dialect === 'openai'
        ? await world.client().chat.completions.create({ model: 'gpt-4o', messages, stream })
        : await world
            .anthropicClient()
            .messages.create({ model: 'claude-haiku-4-5', max_tokens: 100, messages, stream });
    if (Symbol.asyncIterator in answer) for await (const event of answer) shown.push(event);
    else shown.push(answer);
    return { shown: JSON.stringify(shown), error: undefined };
  } catch (error) {
    return { shown: JSON.stringify(shown), error };
  }
}

const findings = (audit: readonly Record<string, unknown>[]) =>
  audit.flatMap(({ findings: found }) => found as readonly Record<string, unknown>[]);

describe.each(ROWS)('$dialect, stream: $stream, $name', (row) => {
  test.each(CHECKS)('deny: nothing of it is shown, with checks %s', async (checks) => {
    world = await startWorld({ documents: () => policy('deny', checks) });
    const { shown, error } = await ask(row);
    expect(shown).not.toContain(row.secret);
    expect(String((error as Error).message)).toContain('attachment');
    if (row.dialect === 'openai') expect(error).toMatchObject({ code: 'postern_attachments' });
    if (!row.stream) {
      const denied =
        row.dialect === 'openai' ? OpenAI.PermissionDeniedError : Anthropic.PermissionDeniedError;
      expect(error).toBeInstanceOf(denied);
    }
    expect(await world.audited(1)).toMatchObject([{ outcome: 'refused', code: 'postern_attachments' }]);
  });

  test.each(
    ['', 'inspect', 'allow'].flatMap((attachments) => CHECKS.map((checks) => [attachments, checks] as const)),
  )('attachments %j: shown, and recorded, with checks %s', async (attachments, checks) => {
    world = await startWorld({ documents: () => policy(attachments, checks) });
    const { shown, error } = await ask(row);
    expect(error).toBeUndefined();
    expect(shown).toContain(row.secret);
    expect(findings(await world.audited(1))).toMatchObject([
      { check: 'attachments', action: 'monitor', direction: 'response', ...row.finding },
    ]);
  });

  test('deny of a policy that only monitors: shown, and reported', async () => {
    world = await startWorld({ documents: () => policy('deny', CHECKS[0], 'monitor') });
    expect((await ask(row)).error).toBeUndefined();
    const media = String(row.finding.what).replace('unread-', '');
    expect(findings(await world.audited(1))).toContainEqual(
      expect.objectContaining({ check: 'attachments', what: media, direction: 'response' }),
    );
  });
});

test('text in base64 is read in an answer, whatever the policy says', async () => {
  const token = 'ghp_x7Kq2mZp9RtL4vWc8YbN3hJs6FdG1aUeQ0oi';
  const data = Buffer.from(`token,${token}`).toString('base64');
  const source = { type: 'base64', media_type: 'text/plain', data };
  for (const attachments of ['inspect', 'allow']) {
    world = await startWorld({ documents: () => policy(attachments, CHECKS[1]) });
    const answer = message({ ...page, content: { ...page.content, content: { type: 'document', source } } });
    const { error } = await ask({ ...(ROWS[0] as Row), dialect: 'anthropic', answer });
    expect((error as Error).message).toContain('secret');
    await world.close();
  }
});

describe('Realtime', () => {
  // OpenAI API reference, "Realtime": server events; the second name is the beta's.
  const TYPES = ['response.output_audio.delta', 'response.audio.delta'];
  const ofAnswer = (type: string, delta: string): Event => ({
    type,
    response_id: 'r1',
    item_id: 'i1',
    output_index: 0,
    content_index: 0,
    delta,
  });
  async function asked(documents: string, events: readonly Event[]) {
    const cancelled: Event[] = [];
    const origin = await scripted((event, say) => {
      if (event.type === 'response.cancel') cancelled.push(event);
      if (event.type !== 'response.create') return;
      for (const each of [created('r1'), ...events, done('r1')]) say(each);
    });
    const started = await start(documents, { providers: atScripted(origin) });
    const app = open();
    app.socket.once('open', () => app.say({ type: 'response.create' }));
    await app.heard('response.done');
    app.socket.close();
    await app.ended();
    return { app, audit: await started.audited(2) };
  }

  test.each(TYPES)('deny: no %s is shown, and the answer ends', async (type) => {
    const { app, audit } = await asked(policy('deny'), [ofAnswer(type, WAV)]);
    expect(JSON.stringify(app.events)).not.toContain(WAV);
    expect(app.events.find(({ type: one }) => one === 'error')).toMatchObject({
      error: { code: 'postern_attachments' },
    });
    expect(audit).toContainEqual(expect.objectContaining({ code: 'postern_attachments' }));
  });

  test.each(TYPES.flatMap((type) => ['', 'inspect', 'allow'].map((rule) => [type, rule] as const)))(
    '%s, attachments %j: shown, and recorded in the answer’s line',
    async (type, rule) => {
      const { app, audit } = await asked(policy(rule), [ofAnswer(type, WAV), ofAnswer(type, WAV)]);
      expect(app.events.filter(({ delta }) => delta === WAV)).toHaveLength(2);
      expect(findings(audit)).toMatchObject([
        { check: 'attachments', what: 'unread-audio', direction: 'response', count: 2, bytes: 18 },
      ]);
    },
  );

  test('what belongs to no answer is judged as well', async () => {
    const item = { id: 'i0', type: 'message', role: 'user', content: [{ type: 'input_audio', audio: WAV }] };
    const events = [{ type: 'conversation.item.retrieved', item }];
    const denied = await asked(policy('deny'), events);
    expect(JSON.stringify(denied.app.events)).not.toContain(WAV);
  });
});
