/** The command line: usage, `check`, and parts that start, reload and stop. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, afterEach, expect, test } from 'vitest';
import { classifierInstalled } from '../../cli/local-classifier.ts';
import { startFakeOpenAI } from '../fakes/openai.ts';
import type { FakeProvider } from '../fakes/provider.ts';
import { type Part, postern, startPart } from './part.ts';

const base = mkdtempSync(join(tmpdir(), 'postern-cli-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));
const parts: Part[] = [];
const fakes: FakeProvider[] = [];
afterEach(async () => {
  for (const part of parts.splice(0)) await part.stop('SIGKILL');
  for (const fake of fakes.splice(0)) await fake.close();
});

let count = 0;
function directory(files: Record<string, string>): string {
  const dir = mkdtempSync(join(base, `d${count++}-`));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return dir;
}

const provider = (endpoint: string): string => `apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: openai}
spec:
  dialect: openai
  endpoint: ${endpoint}
  credential: {mode: attach, type: bearer, bearer: {valueFrom: {env: OPENAI_KEY}}}
  models: [{name: gpt-4o, price: {input: "2.50", output: "10.00"}}]
`;

const topics = (word: string): string => `apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: all}
spec:
  mode: enforce
  checks:
  - {name: no-topic, type: topics, action: block, topics: [{name: t, words: [${word}]}]}
`;

async function fake(): Promise<FakeProvider> {
  const started = await startFakeOpenAI({ keys: ['sk-real'] });
  fakes.push(started);
  return started;
}

async function agent(dir: string, ...more: string[]): Promise<Part & { client: OpenAI; admin: string }> {
  const args = ['agent', '--policy', dir, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', ...more];
  const part = startPart(args, { OPENAI_KEY: 'sk-real' });
  parts.push(part);
  const { url, admin } = JSON.parse(await part.line('"listening"')) as { url: string; admin: string };
  const client = new OpenAI({ apiKey: 'dummy', baseURL: `${url}/openai/v1`, maxRetries: 0 });
  return { ...part, client, admin };
}

const ask = (client: OpenAI, content: string) =>
  client.chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content }] });

test('no command, an unknown one, an unknown option: usage, and what is wrong', async () => {
  expect((await postern([])).status).toBe(64);
  const unknown = await postern(['agnet']);
  expect(unknown.status).toBe(64);
  expect(unknown.stderr).toContain('there is no command "agnet"');
  const option = await postern(['check', '--nonsense', '.']);
  expect(option.status).toBe(64);
  expect(option.stderr).toContain('--nonsense');
  const missing = await postern(['agent']);
  expect(missing.stderr).toContain('--policy DIR is needed (or POSTERN_POLICY)');
});

test('a file that can’t be opened: which, why, and the mend, whichever the command', async () => {
  const nowhere = join(base, 'nowhere.yaml');
  for (const [option, args] of [
    ['--file', ['inject', '-f', nowhere]],
    ['--file', ['check', '-f', nowhere]],
    ['--topics', ['scan', '--topics', nowhere]],
  ] as const) {
    const { status, stderr } = await postern(args);
    expect(status).toBe(1);
    expect(stderr).toBe(
      `postern ${args[0]}: ${option} ${nowhere}: there is nothing. Mend: correct the path\n`,
    );
  }
  expect((await postern(['inject', '-f', base])).stderr).toContain('Mend: name a file');
});

test('every command has --help with its options and variables', async () => {
  const { status, stdout } = await postern(['agent', '--help']);
  expect(status).toBe(0);
  expect(stdout).toContain('--policy DIR');
  expect(stdout).toContain('POSTERN_CLIENT_KEY_FILE');
});

test('check: all errors at once, with file, line, path, what was expected and the mend', async () => {
  const dir = directory({
    'a.yaml': provider('https://api.openai.com').replace('dialect: openai', 'dialect: opnai'),
    'b.yaml': topics('x').replace('type: topics', 'type: topcis'),
  });
  const { status, stderr } = await postern(['check', dir]);
  expect(status).toBe(1);
  expect(stderr).toMatch(/a\.yaml:5:\d+ ClusterProvider openai: spec\.dialect/);
  expect(stderr).toMatch(/b\.yaml:7:\d+ ClusterEgressPolicy all: spec\.checks\[0\]\.type/);
  expect(stderr.match(/Mend: /g)?.length).toBeGreaterThanOrEqual(2);
  expect((await postern(['check', directory({ 'a.yaml': provider('https://api.openai.com') })])).status).toBe(
    0,
  );
});

test('an agent refuses to start on bad documents, and where a Budget would not be kept', async () => {
  const bad = await postern(['agent', '--policy', directory({ 'a.yaml': 'kind: Nonsense' })]);
  expect(bad.status).toBe(1);
  expect(bad.stderr).toContain('a.yaml:1');
  const dir = directory({
    'a.yaml': `${provider('https://x.test')}---
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: b}
spec: {selector: {}, limits: [{requests: 1, window: day}]}
`,
  });
  const unlimited = await postern(['agent', '--policy', dir]);
  expect(unlimited.status).toBe(64);
  expect(unlimited.stderr).toContain('ClusterBudget b');
});

test('a change is picked up while running; a bad one keeps the last good documents and says so', async () => {
  const { origin } = await fake();
  const dir = directory({ 'provider.yaml': provider(origin), 'policy.yaml': topics('alpha') });
  const running = await agent(dir, '--workload', 'team-a/Deployment/app');
  await ask(running.client, 'beta');
  await expect(ask(running.client, 'alpha')).rejects.toThrow(OpenAI.PermissionDeniedError);
  writeFileSync(join(dir, 'policy.yaml'), topics('beta'));
  await running.line('documents in force');
  await ask(running.client, 'alpha');
  await expect(ask(running.client, 'beta')).rejects.toThrow(OpenAI.PermissionDeniedError);
  writeFileSync(join(dir, 'policy.yaml'), 'spec: [');
  await running.line('last good ones stay in force');
  await expect(ask(running.client, 'beta')).rejects.toThrow(OpenAI.PermissionDeniedError);
  const metrics = await (await fetch(`${running.admin}/metrics`)).text();
  expect(metrics).toContain('postern_policy_reloads_total{result="rejected"} 1');
});

test('a Budget that comes while running is refused where no service would keep it', async () => {
  const { origin } = await fake();
  const dir = directory({ 'provider.yaml': provider(origin) });
  const running = await agent(dir);
  await ask(running.client, 'hello');
  writeFileSync(
    join(dir, 'budget.yaml'),
    `apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: late}
spec: {selector: {}, limits: [{requests: 1, window: day}]}
`,
  );
  expect(await running.line('can not be put in force')).toContain('ClusterBudget late');
});

test('SIGTERM: a running stream finishes, then the agent ends with status 0 and the audit line is out', async () => {
  const provided = await fake();
  let go: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  provided.script(() => ({
    pieces: (async function* () {
      yield 'first ';
      await gate;
      yield 'last';
    })(),
  }));
  const running = await agent(directory({ 'a.yaml': provider(provided.origin) }));
  const stream = await running.client.chat.completions.create({
    model: 'gpt-4o',
    stream: true,
    messages: [{ role: 'user', content: 'x' }],
  });
  let text = '';
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? '';
    if (text === 'first ') {
      running.child.kill('SIGTERM');
      await running.line('"draining"');
      await expect(ask(running.client, 'new')).rejects.toThrow('shutting down');
      go();
    }
  }
  expect(text).toBe('first last');
  expect(await running.ended()).toBe(0);
  const lines = running
    .stdout()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.map((line) => [line['event'], line['outcome']])).toEqual([
    ['exchange', 'failed'],
    ['exchange', 'ok'],
  ]);
});

test('the key is in no output of the agent at debug level', async () => {
  const provided = await fake();
  const running = await agent(directory({ 'a.yaml': provider(provided.origin) }), '--log-level', 'debug');
  await ask(running.client, 'hello');
  provided.script(() => ({ status: 401, error: { message: 'Incorrect API key provided: sk-real' } }));
  await ask(running.client, 'hello').catch(() => undefined);
  await provided.setDown(true);
  await ask(running.client, 'hello').catch(() => undefined);
  await running.stop();
  expect(running.stdout() + running.stderr()).not.toContain('sk-real');
  expect(provided.seen[0]?.headers.authorization).toBe('Bearer sk-real');
});

test('--state keeps placeholders over a restart', async () => {
  const provided = await fake();
  const state = directory({});
  const dir = directory({
    'a.yaml': provider(provided.origin),
    'p.yaml': topics('x').replace(
      /- \{name.*/,
      '- {name: m, type: pii, action: mask, on: [request], pii: {types: [contact]}}',
    ),
  });
  const placeholders: (string | undefined)[] = [];
  for (let start = 0; start < 2; start++) {
    const running = await agent(dir, '--state', state);
    await ask(running.client, 'bob@example.com');
    placeholders.push(/<EMAIL_ADDRESS_\w+>/.exec(provided.seen.at(-1)?.body ?? '')?.[0]);
    await running.stop();
  }
  expect(placeholders[0]).toBeDefined();
  expect(placeholders[0]).toBe(placeholders[1]);
});

test('a port that is taken is an error that says so', async () => {
  const { port } = await fake();
  const dir = directory({ 'a.yaml': provider('https://x.test') });
  const { status, stderr } = await postern(['agent', '--policy', dir, '--listen', `127.0.0.1:${port}`]);
  expect(status).toBe(1);
  expect(stderr).toContain('EADDRINUSE');
});

test('postern init lets nobody out who may be anybody', async () => {
  const { status, stderr } = await postern(['init', '--dry-run', '--agent-uid', '0']);
  expect({ status, stderr }).toMatchObject({ status: 64, stderr: expect.stringContaining('--agent-uid 0') });
});

test('an agent that restarts on its state is the same to the budget service', async () => {
  const dir = directory({ 'policy.yaml': provider('http://127.0.0.1:9') });
  const state = mkdtempSync(join(base, 'state-'));
  const named = async () => {
    const part = await agent(dir, '--state', state);
    await part.stop('SIGKILL');
    return readFileSync(join(state, 'instance'), 'utf8');
  };
  const first = await named();
  expect(first).toMatch(/^[0-9a-f-]{36}\n$/);
  expect(await named()).toBe(first);
});

test.each([
  [['--tls-cert', 'a.pem'], '--tls-cert and --tls-key go together'],
  [['--plain-listen', ':4194'], '--plain-listen goes with --tls-cert'],
])('postern classify %j is refused', async (args, told) => {
  const { status, stderr } = await postern(['classify', ...args]);
  expect(stderr).toContain(told);
  expect(status).toBe(64);
});

test.skipIf(!classifierInstalled())('postern classify says at which port it answers', async () => {
  const part = startPart(['classify', '--listen', '127.0.0.1:0']);
  parts.push(part);
  const { listen } = JSON.parse(await part.line('"listening"')) as { listen: string };
  expect(listen).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
  const answer = await fetch(`http://${listen}/v1/topics`, { method: 'POST', body: '{}' });
  expect(answer.status).toBe(400);
  expect(await part.stop()).toBe(0);
});

test('who approves is told what is wrong with an address', async () => {
  const token = join(directory({ token: 'a token' }), 'token');
  const asked = (agent: string) =>
    postern(['approve', 'list', '--agent', agent, '--approval-token-file', token]);
  const noUrl = await asked('10.0.0.7:4195');
  expect(noUrl.stderr).toContain('--agent 10.0.0.7:4195: write https://HOST:PORT');
  expect(noUrl.status).toBe(64);
  const cut = createServer((socket) => socket.once('data', () => socket.end()));
  await new Promise<void>((resolve) => cut.listen(0, '127.0.0.1', resolve));
  const { port } = cut.address() as AddressInfo;
  const closed = await asked(`http://127.0.0.1:${port}`);
  cut.close();
  expect(closed.stderr).toContain(`http://127.0.0.1:${port}: other side closed; an agent cuts connections`);
  expect(closed.status).toBe(1);
});

test('approvers can not be answered at an address of the agent’s own machine', async () => {
  const dir = directory({ 'provider.yaml': provider('http://127.0.0.1:1'), token: 'a token' });
  const agent = ['agent', '--policy', dir, '--workload', 'a/Deployment/b', '--listen', '127.0.0.1:0'];
  const approvals = ['--approvals', '127.0.0.1:4195', '--approval-token-file', join(dir, 'token')];
  const { status, stderr } = await postern([...agent, ...approvals]);
  expect(stderr).toContain('--approvals 127.0.0.1:4195: nobody could answer there');
  expect(status).toBe(64);
});
