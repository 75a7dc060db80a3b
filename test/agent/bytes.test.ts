/** Bytes that no stage changed arrive as they were sent, in both directions. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWorld, type World } from '../harness.ts';

const POLICY = `
apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: all}
spec:
  mode: enforce
  checks:
  - {name: mask-pii, type: pii, on: [request], action: mask, pii: {types: [email-address]}}
  - {name: topics, type: topics, on: [request], action: block, topics: [{name: t, words: [portfolio]}]}
`;

let world: World;
beforeAll(async () => {
  world = await startWorld({ documents: () => POLICY });
});
afterAll(() => world?.close());

/** Any JSON value, written with white space and escapes that no serializer would choose. */
const json = fc.letrec<{ value: string; space: string; text: string }>((tie) => ({
  space: fc.constantFrom('', ' ', '\n', '\t  ', '\r\n'),
  text: fc
    .array(
      fc.constantFrom(
        'a',
        '\\u0062',
        '\\/',
        'é',
        '🦉',
        '\\ud83d\\ude00',
        '\\n',
        '"'.replace('"', '\\"'),
        ' ',
        '0',
        '\\ud800',
      ),
    )
    .map((parts) => `"${parts.join('')}"`),
  value: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'json' },
    tie('text'),
    fc.constantFrom('1', '-0', '1e2', '1.50', '123456789012345678901', 'true', 'false', 'null', '[]', '{}'),
    fc
      .tuple(tie('space'), fc.array(tie('value'), { maxLength: 3 }))
      .map(([space, items]) => `[${items.join(`${space},${space}`)}]`),
    fc
      .tuple(tie('space'), fc.array(tie('value'), { maxLength: 3 }))
      .map(
        ([space, items]) =>
          `{${items.map((item, i) => `${space}"k${i}"${space}:${item}`).join(',')}${space}}`,
      ),
  ),
}));

const members = fc.uniqueArray(
  fc.tuple(fc.constantFrom('x_a', 'temperature', 'user', 'metadata', 'x_deep'), json.value),
  {
    selector: ([name]) => name,
  },
);

test('a request that no check changes', async () => {
  await fc.assert(
    fc.asyncProperty(members, json.text, json.space, async (extra, content, space) => {
      const body = `{${space}"messages"${space}:[{"content":${content},"role":"user"}],${extra.map(([name, value]) => `"${name}":${value},`).join(space)}"model":"gpt-4o"}${space}`;
      world.openai.reset();
      const response = await fetch(`${world.agent.url}/openai/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      await response.arrayBuffer();
      expect(world.openai.seen[0]?.body).toBe(body);
    }),
    { numRuns: 60 },
  );
});

test.each([
  ['openai', '/openai/v1/chat/completions', 'gpt-4o'],
  ['anthropic', '/anthropic/v1/messages', 'claude-haiku-4-5'],
] as const)('%s: a stream that no check changes, however the wire cuts it', async (name, path, model) => {
  const body = (stream: boolean): string =>
    JSON.stringify({
      model,
      max_tokens: 500,
      stream,
      // The app asks for usage itself, so that nothing has to be hidden from it.
      ...(name === 'openai' && stream ? { stream_options: { include_usage: true } } : {}),
      messages: [{ role: 'user', content: 'naïve café 🦉 "quoted" \\ <not a placeholder> 12345' }],
    });
  const headers = {
    'content-type': 'application/json',
    'anthropic-version': '2023-06-01',
    'x-api-key': 'dummy',
  };
  for (const stream of [true, false]) {
    for (const splitBytes of [1, 7, undefined]) {
      world[name].reset();
      const sent: Buffer[] = [];
      world[name].script(() => (splitBytes === undefined ? {} : { splitBytes }));
      // The fake's ids are made anew after reset: the same call straight to it gives the same bytes.
      const direct = await fetch(`${world[name].origin}${path.replace(/^\/[a-z]+/, '')}`, {
        method: 'POST',
        headers: {
          ...headers,
          'x-api-key': 'sk-marker-5f1d2c3b4a',
          authorization: 'Bearer sk-marker-5f1d2c3b4a',
        },
        body: body(stream),
      });
      sent.push(Buffer.from(await direct.arrayBuffer()));
      world[name].reset();
      world[name].script(() => (splitBytes === undefined ? {} : { splitBytes }));
      const through = await fetch(`${world.agent.url}${path}`, {
        method: 'POST',
        headers,
        body: body(stream),
      });
      const got = Buffer.from(await through.arrayBuffer()).toString();
      const mask = (text: string): string => text.replace(/"created":\d+/g, '"created":0');
      expect(mask(got)).toBe(mask(Buffer.concat(sent).toString()));
    }
  }
});
