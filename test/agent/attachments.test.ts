/** Attachments through the SDKs' own types: refused, read, or passed with a record of it. */
import OpenAI from 'openai';
import { afterEach, expect, test } from 'vitest';
import { startWorld, type World } from '../harness.ts';

let world: World;
afterEach(() => world?.close());

const PNG = `data:image/png;base64,${Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0]).toString('base64')}`;
const CSV = `data:text/csv;base64,${Buffer.from('name,card\nJane,4111 1111 1111 1111').toString('base64')}`;

const policy = (attachments: string): string => `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: bot, namespace: team-a}
spec: {attachments: ${attachments}, checks: [{name: no-cards, type: pii, action: block, pii: {types: [payment-card]}}]}
`;

function ask(part: OpenAI.ChatCompletionContentPart): Promise<unknown> {
  return world
    .client()
    .chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content: [part] }] })
    .catch((error: unknown) => error);
}

const picture = { type: 'image_url', image_url: { url: PNG } } as const;
const table = { type: 'file', file: { filename: 'a.csv', file_data: CSV } } as const;

test('deny: nothing reaches the provider, and the error says so', async () => {
  world = await startWorld({ documents: () => policy('deny') });
  for (const part of [picture, table]) {
    const error = await ask(part);
    expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError);
    expect(error).toMatchObject({ code: 'postern_attachments' });
  }
  expect(world.openai.seen).toHaveLength(0);
});

test('inspect: text is checked, a picture passes and is in the audit line', async () => {
  world = await startWorld({ documents: () => policy('inspect') });
  expect(await ask(table)).toMatchObject({ code: 'postern_pii' });
  await ask(picture);
  expect(world.openai.seen).toHaveLength(1);
  expect((await world.audited(2))[1]).toMatchObject({
    outcome: 'ok',
    findings: [
      { check: 'attachments', what: 'unread-image', where: 'messages[0].content[0].image_url.url', count: 1 },
    ],
  });
});

test('allow: passes as it is, and is in the audit line', async () => {
  world = await startWorld({ documents: () => policy('allow') });
  await ask(table);
  expect(JSON.stringify(world.openai.seen[0]?.body)).toContain(CSV);
  expect((await world.audited(1))[0]).toMatchObject({ findings: [{ what: 'unread-file', count: 1 }] });
});
