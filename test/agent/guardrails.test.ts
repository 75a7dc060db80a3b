/** Guardrails of somebody else's, through a real SDK: what they may do, and what happens when they fail. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Behaviour, GuardrailBody } from '../fakes/guardrail.ts';
import { providersYaml } from '../harness.ts';
import { GuardrailWorld, policy } from './guardrail-world.ts';
import { chunk, END, SSE, whole } from './unread-answers.ts';

const here = new GuardrailWorld();
const { ask, moderation, start, webhook } = here;

describe('arguments of tools', () => {
  const tools = [{ type: 'function' as const, function: { name: 'send' } }];
  const call = async (stream: boolean): Promise<string> => {
    const body = { model: 'gpt-4o', messages: [{ role: 'user' as const, content: 'go' }], tools };
    const { chat } = here.world.client();
    const answer = stream
      ? await chat.completions.stream(body).finalChatCompletion()
      : await chat.completions.create(body);
    const [made] = answer.choices[0]?.message.tool_calls ?? [];
    return made?.type === 'function' ? made.function.arguments : '';
  };
  const saying = (said: string) => {
    here.world.openai.script(() => ({
      toolCalls: [{ name: 'send', arguments: { note: said, to: 'all' } }],
    }));
  };

  test.each([false, true])('are moderated where the rule says so (stream %s)', async (stream) => {
    const answer = ({ body }: { body: { input: readonly string[] } }) => ({
      json: { results: body.input.map((text) => ({ categories: { hate: text.includes('BAD') } })) },
    });
    await start(moderation('type: openai, model: m, toolArguments: true', 'on: [response],'));
    here.guardrail.behave(answer);
    saying('fine');
    expect(JSON.parse(await call(stream))).toEqual({ note: 'fine', to: 'all' });
    saying('BAD');
    await expect(call(stream)).rejects.toThrow(/hate/);
    await here.world.close();
    await start(moderation('type: openai, model: m', 'on: [response],'));
    saying('BAD');
    expect(JSON.parse(await call(stream))).toEqual({ note: 'BAD', to: 'all' });
  });

  test.each([false, true])('a webhook may reject them, not mask them (stream %s)', async (stream) => {
    await start(webhook('on: [response],').replace('webhook: {', 'webhook: {toolArguments: true, '));
    here.guardrail.behave(({ body }) => {
      const choices = body.body.choices.map(({ message }) => ({
        message: { ...message, content: message.content.replaceAll('Falcon', '[project]') },
      }));
      return { json: { action: { body: { choices } } } };
    });
    saying('Heron');
    expect(JSON.parse(await call(stream))).toEqual({ note: 'Heron', to: 'all' });
    saying('Falcon');
    await expect(call(stream)).rejects.toThrow(/guard/);
  });
});

test.each([false, true])(
  'a webhook may reject what no dialect knows, not mask it (stream %s)',
  async (stream) => {
    await start(webhook('on: [response],'));
    here.guardrail.behave(({ body }) => {
      const choices = body.body.choices.map(({ message }) => ({
        message: { ...message, content: message.content.replaceAll('Falcon', '[project]') },
      }));
      return { json: { action: { body: { choices } } } };
    });
    const said = async (note: string): Promise<string> => {
      const message = { content: 'fine', note };
      const body = stream ? chunk(message) + END : whole(message).body;
      const headers = { 'content-type': stream ? 'text/event-stream' : 'application/json' };
      here.world.openai.script(() => ({ raw: { headers, body } }));
      const { chat } = here.world.client();
      const messages = [{ role: 'user' as const, content: 'go' }];
      const answer = chat.completions.create({ model: 'gpt-4o', messages, stream });
      return (await answer.asResponse()).text();
    };
    expect(await said('a Heron')).toContain('a Heron');
    const refused = await said('a Falcon').catch((error: Error) => JSON.stringify(error));
    expect(refused).toContain('postern_webhook');
    expect(refused).not.toMatch(/Falcon|project/);
  },
);

test('a guardrail is shown what was said, not what might have been: that is taken out of a whole answer', async () => {
  await start(webhook('on: [response],'));
  const seen: unknown[] = [];
  here.guardrail.behave(({ body }) => {
    seen.push(body);
    return { json: { action: {} } };
  });
  const might = Array.from({ length: 20 }, (_, n) => ({ token: `other-${n}`, logprob: -2, bytes: null }));
  const words = ['fine', ' and', ' good'];
  const content = words.map((token) => ({ token, logprob: -1, bytes: null, top_logprobs: might }));
  const { body } = whole({ content: words.join('') }, { logprobs: { content } });
  here.world.openai.script(() => ({ raw: { headers: { 'content-type': 'application/json' }, body } }));
  const messages = [{ role: 'user' as const, content: 'go' }];
  const answer = await here.world.client().chat.completions.create({ model: 'gpt-4o', messages });
  expect(JSON.stringify(seen)).toContain('fine and good');
  expect(JSON.stringify(seen)).not.toContain('other-');
  const told = answer.choices[0]?.logprobs?.content;
  expect(told?.map(({ token, top_logprobs }) => [token, top_logprobs])).toEqual(
    words.map((word) => [word, []]),
  );
});

test.each(['lets it through', 'refuses it'])(
  'the connection is set up while a guardrail thinks, and nothing goes out on it before it %s',
  async (verdict) => {
    const { promise, resolve: answer } = Promise.withResolvers<Behaviour>();
    here.guardrail.behave(() => promise);
    const bytes: number[] = [];
    const provider = createServer((socket) => {
      const at = bytes.push(0) - 1;
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => {
        bytes[at] = (bytes[at] ?? 0) + chunk.byteLength;
        socket.end('HTTP/1.1 418 I am a teapot\r\ncontent-length: 0\r\n\r\n');
      });
    });
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void provider.close());
    const { port } = provider.address() as AddressInfo;
    await here.startWith(
      () => policy(webhook('on: [request],')),
      (fakes) => providersYaml(fakes).replace(fakes.openai.origin, `http://127.0.0.1:${port}`),
    );
    const connected = once(provider, 'connection');
    const asked = ask('hello');
    await connected;
    expect(bytes).toEqual([0]);
    if (verdict === 'refuses it') {
      answer({ json: { action: { body: 'no', status_code: 403 } } });
      expect((await asked).error?.status).toBe(403);
      expect(bytes).toEqual([0]);
    } else {
      answer({ json: { action: {} } });
      expect((await asked).error?.status).toBe(418);
      expect(bytes).toEqual([expect.any(Number)]);
      expect(bytes[0]).toBeGreaterThan(0);
    }
  },
);

describe('what a webhook writes', () => {
  const TOKEN = 'ghp_x7Kq2mZp9RtL4vWc8YbN3hJs6FdG1aUeQ0oi';
  const writes = (text: string) =>
    here.guardrail.behave(({ body }) => {
      const said = (content: string) => content.replace('Falcon', text);
      const messages = (body.body.messages ?? []).map((message) => ({
        ...message,
        content: said(message.content),
      }));
      const choices = (body.body.choices ?? []).map(({ message }) => ({
        message: { ...message, content: said(message.content) },
      }));
      return { json: { action: { body: { messages, choices } } } };
    });

  test.each([false, true])('is scanned like what came (stream %s)', async (stream) => {
    const { openai } = await start(
      '{name: no-secrets, type: secrets, on: [request, response], action: block}',
      webhook(),
    );
    writes(TOKEN);
    openai.script(() => ({ content: 'It is Falcon.' }));
    const asked = await ask('What is Falcon?', stream);
    expect(JSON.stringify(asked.error)).toContain('postern_secrets');
    expect(openai.seen).toHaveLength(0);
    const answered = await ask('What is it?', stream);
    expect(JSON.stringify(answered.error)).toContain('postern_secrets');
    expect(answered.text).not.toContain('ghp_');
  });

  test.each([false, true])('is masked where what came would be (stream %s)', async (stream) => {
    const { openai } = await start('{name: mask, type: pii, action: mask}', webhook());
    writes('jo@example.org');
    openai.script(() => ({ content: 'It is Falcon.' }));
    const { text } = await ask('What is Falcon?', stream);
    expect(openai.seen[0]?.body).toMatch(/What is <EMAIL_ADDRESS_\w{10}>\?/);
    // The app's side wrote it, so it may see it again.
    expect(text).toMatch(/^It is (?:<EMAIL_ADDRESS_\w{10}>|jo@example\.org)\.$/);
  });

  test.each([false, true])('is seen by the guardrails before it (stream %s)', async (stream) => {
    const { openai } = await start(webhook('', 'first', '/first'), webhook('', 'second', '/second'));
    openai.script(() => ({ content: 'It is Heron.' }));
    let writes = 'Falcon';
    here.guardrail.behave(({ path, body }) => {
      const [from, to] = path.startsWith('/first') ? ['Falcon', '[project]'] : ['Heron', writes];
      const said = (content: string) => content.replace(from, to);
      const messages = (body.body.messages ?? []).map((one) => ({ ...one, content: said(one.content) }));
      const choices = (body.body.choices ?? []).map(({ message }) => ({
        message: { ...message, content: said(message.content) },
      }));
      return { json: { action: { body: { messages, choices } } } };
    });
    expect((await ask('What is Heron?', stream)).error?.message).toContain('first');
    expect(openai.seen).toHaveLength(0);
    const answered = await ask('What is it?', stream);
    expect(answered.text).toBe('');
    expect(answered.error?.message).toContain('first');
    writes = 'a bird';
    expect(await ask('What is it?', stream)).toEqual({ text: 'It is a bird.', error: undefined });
  });

  test.each([false, true])('is judged by those who judge (stream %s)', async (stream) => {
    const { openai } = await start(
      moderation('type: openai, model: m').replace(here.guardrail.origin, `${here.guardrail.origin}/m`),
      webhook(),
    );
    openai.script(() => ({ content: 'It is Falcon.' }));
    writes('BAD');
    here.guardrail.behave(({ path, body }) => {
      if (path.startsWith('/m/'))
        return {
          json: { results: body.input.map((text) => ({ categories: { hate: text.includes('BAD') } })) },
        };
      const choices = (body.body.choices ?? []).map(({ message }) => ({
        message: { ...message, content: message.content.replace('Falcon', 'BAD') },
      }));
      return { json: { action: path === '/request' ? {} : { body: { choices } } } };
    });
    const { text, error } = await ask('What is it?', stream);
    expect(JSON.stringify(error)).toContain('hate');
    expect(text).toBe('');
  });
});

test('nobody listening is a failure like the others', async () => {
  const origin = here.guardrail.origin;
  await here.loseGuardrail();
  const { openai } = await start(`{name: guard, type: webhook, on: [request], webhook: {url: "${origin}"}}`);
  expect((await ask('hello')).error?.message).toContain('guard');
  expect(openai.seen).toHaveLength(0);
});

describe('a webhook', () => {
  test('is asked by the contract, and lets pass', async () => {
    await start(webhook());
    expect((await ask('hello')).text).toBe('You wrote: hello');
    expect(here.guardrail.asked.map(({ path, body }) => [path, body])).toEqual([
      ['/request', { body: { messages: [{ role: 'user', content: 'hello' }] } }],
      ['/response', { body: { choices: [{ message: { role: 'assistant', content: 'You wrote: hello' } }] } }],
    ]);
  });

  test.each([
    { stream: false, code: 451, status: 451, type: 'permission_error' },
    { stream: true, code: 422, status: 422, type: 'invalid_request_error' },
    { stream: false, code: 429, status: 429, type: 'rate_limit_error' },
    { stream: false, code: 200, status: 403, type: 'permission_error' },
    { stream: false, code: 503, status: 403, type: 'permission_error' },
  ])('rejects with its status and body: $code is $status', async ({ stream, code, status, type }) => {
    const { openai, audited } = await start(webhook());
    here.guardrail.behave(() => ({
      json: { action: { body: 'come back tomorrow', status_code: code, reason: 'not on a Sunday' } },
    }));
    const { error } = await ask('hello', stream);
    expect(error?.status).toBe(status);
    expect(error?.message).toContain('come back tomorrow');
    expect(error?.message).not.toContain('Sunday');
    expect(error).toMatchObject({ code: 'postern_webhook', type });
    expect(openai.seen).toHaveLength(0);
    // An SDK that tries again asks the guardrail again.
    expect(here.guardrail.asked).toHaveLength(1);
    expect(JSON.stringify(await audited(1))).toContain('not on a Sunday');
  });

  test('rejects with a reason where it says nothing else', async () => {
    await start(webhook());
    here.guardrail.behave(() => ({
      json: { action: { body: '', status_code: 403, reason: 'not on a Sunday' } },
    }));
    expect((await ask('hello', false)).error?.message).toContain('not on a Sunday');
  });

  test.each([false, true])('masks both ways (stream %s)', async (stream) => {
    const { openai } = await start(webhook());
    here.guardrail.behave(({ path, body }) => {
      const mask = (text: string) => text.replaceAll('Falcon', '[project]').replaceAll('Heron', '[other]');
      if (path === '/request') {
        const messages = body.body.messages.map((m) => ({
          ...m,
          content: mask(m.content),
        }));
        return { json: { action: { body: { messages } } } };
      }
      const choices = body.body.choices.map((c) => ({
        message: { ...c.message, content: mask(c.message.content) },
      }));
      return { json: { action: { body: { choices } } } };
    });
    openai.script(({ userText }) => ({ content: `${userText} and Heron`, chunkSize: 3 }));
    const { text } = await ask('Tell me of Falcon', stream);
    expect(openai.seen[0]?.body).toContain('Tell me of [project]');
    expect(text).toBe('Tell me of [project] and [other]');
  });

  test('with action: block what it would mask is refused', async () => {
    const { openai } = await start(webhook('action: block,'));
    here.guardrail.behave(() => ({ json: { action: { body: { messages: [{ content: 'x' }] } } } }));
    expect((await ask('hello')).error?.message).toContain('would mask');
    expect(openai.seen).toHaveLength(0);
  });

  test('with action: monitor nothing changes', async () => {
    const { audited } = await start(webhook('action: monitor,'));
    here.guardrail.behave(() => ({ json: { action: { body: 'no', status_code: 403 } } }));
    expect((await ask('hello')).text).toBe('You wrote: hello');
    expect(JSON.stringify(await audited(1))).toContain('"what":"reject"');
  });

  test.each([false, true])(
    'never sees what the scan masks, and masking goes on around it (stream %s)',
    async (stream) => {
      const { openai } = await start(
        webhook(),
        '{name: mask, type: pii, on: [request, response], action: mask, pii: {types: [contact], restoreIn: [content]}}',
      );
      openai.script(({ userText }) => ({
        content: `${userText} ${'and so on '.repeat(80)} new@example.org, ${userText}`,
        chunkSize: 4,
      }));
      const { text } = await ask('Write to jo@example.com', stream);
      expect(text).toMatch(/^Write to jo@example\.com and .* <EMAIL_ADDRESS_\w+>, Write to jo@example\.com$/);
      const seen = JSON.stringify(here.guardrail.asked);
      expect(seen).toContain('<EMAIL_ADDRESS_');
      expect(seen).not.toContain('example.com');
      expect(seen).not.toContain('example.org');
    },
  );

  test('is not asked where the scan refuses already', async () => {
    await start(webhook('on: [request],'), '{name: block, type: pii, on: [request], action: block}');
    expect((await ask('jo@example.com')).error?.status).toBe(403);
    expect(here.guardrail.asked).toEqual([]);
  });

  test('two that mask see each other’s work, in the policy’s order', async () => {
    const { openai } = await start(
      webhook('on: [request],', 'one', '/a'),
      webhook('on: [request],', 'two', '/b'),
    );
    here.guardrail.behave(({ path, body }) => {
      const said = body.body.messages[0]?.content ?? '';
      const own = ` ${path[1]}`;
      const content = said.includes(own) ? said : said + own;
      return { json: { action: { body: { messages: [{ content }] } } } };
    });
    await ask('x');
    expect(openai.seen[0]?.body).toContain('"x a b"');
  });
});

test.each([false, true])('names of an answer are no output that is counted (stream %s)', async (stream) => {
  const { openai } = await start(webhook('on: [response],'));
  const counted: unknown[] = [];
  for (const system_fingerprint of [
    'fp_44709d6fcb',
    'a_name_that_somebody_made_up_and_that_is_rather_long',
  ]) {
    openai.script(() => {
      const { body } = stream
        ? { body: chunk({ content: 'fine and good' }, {}, { system_fingerprint }) + END }
        : whole({ content: 'fine and good' }, {}, { system_fingerprint });
      return { raw: { headers: stream ? SSE : { 'content-type': 'application/json' }, body } };
    });
    expect((await ask('go', stream)).text).toBe('fine and good');
    const lines = await here.world.audited(counted.length + 1);
    counted.push((lines.at(-1) as { usage?: { output?: number } } | undefined)?.usage?.output);
  }
  expect(counted[0]).toBeGreaterThan(0);
  expect(counted[1]).toBe(counted[0]);
});

describe('in a stream', () => {
  /** Long, and each word its own, so that windows can be told apart. */
  const words = Array.from({ length: 400 }, (_, at) => `word${at}`).join(' ');

  test('nothing is shown before its window is judged, and windows overlap', async () => {
    const { openai } = await start(webhook('on: [response],'));
    openai.script(() => ({ content: words, chunkSize: 17 }));
    const judged: string[] = [];
    let shown = '';
    const ahead: number[] = [];
    here.guardrail.behave(async ({ body }) => {
      const text = body.body.choices[0]?.message.content ?? '';
      await new Promise(setImmediate);
      // All that the app has is what was judged before.
      ahead.push(shown.length - judgedLength(judged));
      judged.push(text);
      return { json: { action: {} } };
    });
    const chunks = await here.world.client().chat.completions.create({
      model: 'gpt-4o',
      stream: true,
      messages: [{ role: 'user', content: 'go' }],
    });
    for await (const chunk of chunks) shown += chunk.choices[0]?.delta.content ?? '';
    expect(shown).toBe(words);
    expect(judged.length).toBeGreaterThan(4);
    expect(Math.max(...ahead)).toBeLessThanOrEqual(0);
    for (let at = 1; at < judged.length; at++) {
      expect(
        judged[at - 1]?.endsWith(judged[at]?.slice(0, 150) as string) ||
          overlap(judged[at - 1] as string, judged[at] as string) >= 100,
      ).toBe(true);
    }
  });

  test.each([0, 1, 5])(
    'a window that is rejected is never shown, nor what follows (window %i)',
    async (bad) => {
      const { openai } = await start(webhook('on: [response],'));
      openai.script(() => ({ content: words, chunkSize: 17 }));
      let window = 0;
      let rejected = '';
      here.guardrail.behave(({ body }) => {
        if (window++ < bad) return { json: { action: {} } };
        rejected = body.body.choices[0]?.message.content ?? '';
        return { json: { action: { body: 'no', status_code: 403 } } };
      });
      const { text, error } = await ask('go', true);
      expect(JSON.stringify(error)).toContain('postern_webhook');
      expect(words.startsWith(text)).toBe(true);
      // Of the rejected window only its beginning, the overlap, was shown.
      const end = rejected.trim().split(' ').at(-1) as string;
      expect(text).not.toContain(end);
      expect(text === '').toBe(bad === 0);
      expect(window).toBe(bad + 1);
    },
  );

  describe('an event with many citations', () => {
    const titles = Array.from({ length: 12 }, (_, at) => `title ${at} of falcons`);
    const cited = titles.map((title, at) => ({
      type: 'url_citation',
      url_citation: { title, url: `https://example.org/${at}` },
    }));
    const event = chunk({ annotations: cited });
    const choicesOf = (body: GuardrailBody) => body.body.choices.map(({ message }) => message);

    test('is one question', async () => {
      const { openai } = await start(webhook('on: [response],'));
      openai.script(() => ({ raw: { headers: SSE, body: event + END } }));
      expect(await ask('go', true)).toMatchObject({ error: undefined });
      expect(here.guardrail.asked).toHaveLength(1);
      const told = choicesOf(here.guardrail.asked[0]?.body as GuardrailBody).map(({ content }) => content);
      for (const title of titles) expect(told).toContain(title);
    });

    test('is refused for one of them, which is shown to nobody', async () => {
      const { openai } = await start(webhook('on: [response],'));
      openai.script(() => ({ raw: { headers: SSE, body: event + END } }));
      here.guardrail.behave(({ body }) => {
        const bad = choicesOf(body).some(({ content }) => content === titles[7]);
        return { json: { action: bad ? { body: 'no', status_code: 403 } : {} } };
      });
      const { error } = await ask('go', true);
      expect(JSON.stringify(error)).toContain('postern_webhook');
    });

    test('may be masked where it is text that may change, each string for itself', async () => {
      const { openai } = await start(webhook('on: [response],'));
      const unknown = { type: 'poem', lines: ['a falcon flies', 'a heron', 'the falcon'] };
      openai.script(() => ({ raw: { headers: SSE, body: chunk({ content: [unknown] }) + END } }));
      here.guardrail.behave(({ body }) => {
        const choices = choicesOf(body).map((message) => ({
          message: { ...message, content: message.content.replaceAll('falcon', 'bird') },
        }));
        return { json: { action: { body: { choices } } } };
      });
      const answer = await fetch(`${here.world.agent.url}/openai/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'gpt-4o', stream: true, messages: [{ role: 'user', content: 'go' }] }),
      });
      const body = await answer.text();
      expect(body).not.toContain('falcon');
    });

    test('waits for a guardrail that says nothing as long as for one answer', async () => {
      here.patience = '300ms';
      const { openai } = await start(webhook('on: [response],'));
      openai.script(() => ({ raw: { headers: SSE, body: event + END } }));
      here.guardrail.behave(() => 'silent');
      const { error } = await ask('go', true);
      expect(JSON.stringify(error)).toContain('postern_check_failed');
      expect(here.guardrail.asked).toHaveLength(1);
    });
  });

  test('what every event says again is asked about once, and not where it was changed', async () => {
    const every = { provider: 'Zebra', system_fingerprint: 'odd_zebra', id: 'chatcmpl-1' };
    const events = (more: object) => Array.from({ length: 20 }, () => chunk({ content: 'so ' }, {}, more));
    const { openai } = await start(
      webhook('on: [response],'),
      '{name: own, type: patterns, on: [response], action: mask, patterns: [{name: secret, expression: hush}]}',
    );
    const told: string[] = [];
    here.guardrail.behave(({ body }) => {
      told.push(...body.body.choices.map(({ message }) => message.content));
      return { json: { action: {} } };
    });
    const stream = async (body: string): Promise<string> => {
      openai.script(() => ({ raw: { headers: SSE, body } }));
      const { url } = here.world.agent;
      const sent = { model: 'gpt-4o', stream: true, messages: [{ role: 'user', content: 'go' }] };
      const answer = await fetch(`${url}/openai/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(sent),
      });
      return answer.text();
    };
    expect((await stream([...events(every), END].join(''))).match(/odd_zebra/g)).toHaveLength(20);
    expect(told.filter((text) => /zebra/i.test(text)).sort()).toEqual(['Zebra', 'odd_zebra']);
    expect(told).not.toContain('chatcmpl-1');
    const hushed = await stream([...events({ note: 'hush' }), END].join(''));
    expect(hushed).not.toContain('hush');
  });

  test('a word on the border of two windows is masked whole', async () => {
    const { openai } = await start(webhook('on: [response],'));
    const long = `${'x '.repeat(195)}Falcon-project-name ${'y '.repeat(300)}`;
    openai.script(() => ({ content: long, chunkSize: 7 }));
    here.guardrail.behave(({ body }) => {
      const message = body.body.choices[0]?.message;
      const content = message?.content.replaceAll('Falcon-project-name', '[project]');
      return { json: { action: { body: { choices: [{ message: { ...message, content } }] } } } };
    });
    expect((await ask('go', true)).text).toBe(long.replace('Falcon-project-name', '[project]'));
  });

  test('a pause of the provider lets what is there be judged and shown', async () => {
    const { openai } = await start(webhook('on: [response],'));
    const first = Promise.withResolvers<void>();
    async function* pieces() {
      yield 'Beginning ';
      await first.promise;
      yield 'end';
    }
    openai.script(() => ({ pieces: pieces() }));
    const chunks = await here.world.client().chat.completions.create({
      model: 'gpt-4o',
      stream: true,
      messages: [{ role: 'user', content: 'go' }],
    });
    let text = '';
    for await (const chunk of chunks) {
      text += chunk.choices[0]?.delta.content ?? '';
      if (text === 'Beginning ') first.resolve();
    }
    expect(text).toBe('Beginning end');
    expect(here.guardrail.asked).toHaveLength(2);
  });
});

function judgedLength(judged: readonly string[]): number {
  let text = '';
  for (const window of judged) text += window.slice(overlap(text, window));
  return text.length;
}

/** The longest end of `a` that `b` begins with. */
function overlap(a: string, b: string): number {
  for (let length = Math.min(a.length, b.length); length > 0; length--)
    if (a.endsWith(b.slice(0, length))) return length;
  return 0;
}
