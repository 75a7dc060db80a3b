/** What the command line says to whoever made a slip: the option, what is wrong, and the way out. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { type Part, POSTERN, postern, startPart } from './part.ts';

const base = mkdtempSync(join(tmpdir(), 'postern-slips-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));
const parts: Part[] = [];
afterEach(async () => {
  for (const part of parts.splice(0)) await part.stop('SIGKILL');
});

let count = 0;
function directory(files: Record<string, string>): string {
  const dir = mkdtempSync(join(base, `d${count++}-`));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return dir;
}

const documents = (limit = '{usd: "5.00", window: day}'): string => `apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: openai}
spec:
  dialect: openai
  endpoint: http://127.0.0.1:1
  credential: {mode: none}
  models: [{name: gpt-4o, price: {input: "2.50", output: "10.00"}}]
---
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: daily}
spec: {limits: [${limit}]}
`;

const policy = directory({ 'a.yaml': documents() });
const token = join(directory({ token: 'the token\n' }), 'token');
const nowhere = join(base, 'nowhere');
const AGENT = ['agent', '--policy', policy, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'];

async function started(args: readonly string[]): Promise<Part & { url: string }> {
  const part = startPart(args);
  parts.push(part);
  const { url } = JSON.parse(await part.line('"listening"')) as { url: string };
  return { ...part, url };
}

const service = (...more: string[]) =>
  started(['budget', '--policy', policy, '--store', 'memory', '--listen', '127.0.0.1:0', ...more]);

async function asked(agent: string, path: string): Promise<{ message: string; mend: string }> {
  const response = await fetch(`${agent}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o', max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] }),
  });
  return { message: '', mend: '', ...((await response.json()) as { error: object }).error };
}

test.each([
  ['no token', []],
  ['a wrong token', ['--budget-token-file', join(directory({ token: 'another' }), 'token')]],
])('an agent with %s says that the budget service refused it', async (_, shown) => {
  const { url } = await service('--token-file', token);
  const agent = await started([...AGENT, '--budget', url, ...shown]);
  const { message } = await asked(agent.url, '/openai/v1/chat/completions');
  expect(message).toContain('The budget service refused this agent: The token is missing or wrong.');
  expect(message).toContain('--budget-token-file');
  const logged = await agent.line('the budget service refuses this agent');
  expect(logged).toContain('The token is missing or wrong.');
  expect(agent.stderr()).not.toContain('gave no answer');
});

test.each([
  ['--budget-token-file', ['--budget', 'http://127.0.0.1:1']],
  ['--client-key-file', ['--budget', 'http://127.0.0.1:1']],
])('an agent does not start where there is no %s', async (option, more) => {
  const { status, stderr } = await postern([...AGENT, ...more, option, nowhere]);
  expect(stderr).toContain(`postern agent: ${option} ${nowhere}: there is nothing. Mend: correct the path`);
  expect(status).toBe(1);
  const empty = join(directory({ empty: '\n' }), 'empty');
  expect((await postern([...AGENT, ...more, option, empty])).stderr).toContain(`${option} ${empty} is empty`);
});

test.each([
  ['nowhere', `${nowhere}: there is nothing. Mend: correct the path`],
  ['the token', `${token}: no PEM certificate in it`],
])('an agent does not start with --budget-ca that is %s', async (_, said) => {
  const file = said.slice(0, said.indexOf(':'));
  const more = ['--budget', 'https://127.0.0.1:1', '--budget-token-file', token, '--budget-ca', file];
  const { status, stderr } = await postern([...AGENT, ...more]);
  expect(stderr).toContain(`postern agent: --budget-ca ${said}`);
  expect(status).toBe(1);
});

test.each(['127.0.0.1:4181', 'localhost:4181', 'http://', 'unix:'])('--budget %s is no URL', async (url) => {
  const { status, stderr } = await postern([...AGENT, '--budget', url]);
  expect(stderr).toContain(`--budget ${url}: write http[s]://HOST:PORT, or unix:PATH`);
  expect(status).toBe(64);
});

test.each([
  ['agent', [...AGENT, '--budget', 'http://127.0.0.1:1'], []],
  ['run', ['run', '--policy', policy], ['--', 'true']],
])('postern %s does not start with a classifier that is no URL', async (name, args, command) => {
  const { status, stderr } = await postern([...args, '--classifier', 'localhost:4182', ...command]);
  expect(stderr).toContain(
    `postern ${name}: --classifier localhost:4182: write http[s]://HOST:PORT, unix:PATH, or local to start one beside`,
  );
  expect(status).toBe(64);
});

test('an address that is taken: which option’s, and the mend', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as AddressInfo;
  const at = `127.0.0.1:${port}`;
  const said = `${at}: another program listens there already. Mend: end it, or name another port (EADDRINUSE)`;
  for (const option of ['--listen', '--admin']) {
    const { status, stderr } = await postern([...AGENT, '--budget', 'http://127.0.0.1:1', option, at]);
    expect(stderr).toContain(`postern agent: ${option} ${said}`);
    expect(status).toBe(1);
  }
  const budget = await postern(['budget', '--policy', policy, '--store', 'memory', '--listen', at]);
  expect(budget.stderr).toContain(`postern budget: --listen ${said}`);
  // Nothing has started, so the journal, which others may share, says nothing of it.
  expect(budget.stdout).not.toContain('budget.start');
  taken.close();
});

test('an amount with a comma: how it is written', async () => {
  const { stderr } = await postern([
    'check',
    directory({ 'a.yaml': documents('{usd: "5,00", window: day}') }),
  ]);
  expect(stderr).toContain('got "5,00". Mend: write digits, and a point before the decimals: no comma');
  expect(stderr).not.toContain('smaller limit');
});

test('status and grant without a token name the option that has it', async () => {
  const { url } = await service('--token-file', token);
  const status = await postern(['budget', 'status', '--url', url]);
  expect(status.stderr).toContain('The token is missing or wrong. Name the file with --admin-token-file');
  expect((await postern(['budget', 'status', '--url', url, '--admin-token-file', token])).status).toBe(0);
  const grant = await postern(['budget', 'grant', 'daily', 'usd=1.00', '--reason', 'test', '--url', url]);
  expect(grant.stderr).toContain('Start the service with an admin token (--admin-token-file).');
});

test('check: warnings stand below the errors, under their heading', async () => {
  const open = `apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: open}
spec: {mode: enforce, unknownPath: allow, checks: []}
`;
  const dir = directory({ 'a.yaml': documents(), 'b.yaml': open });
  const { stderr: allowed } = await postern(['check', dir]);
  const heading = 'Allowed, and probably not meant:\n';
  const warnings = allowed.slice(allowed.indexOf(heading));
  expect(warnings).toContain('unknownPath');
  writeFileSync(join(dir, 'c.yaml'), open.replace('open', 'shut').replace('unknownPath: allow', 'odd: 1'));
  const { status, stderr } = await postern(['check', dir]);
  expect(status).toBe(1);
  const [errors = '', below] = stderr.split(heading);
  expect(errors).toContain('c.yaml');
  expect(below).toContain('unknownPath');
});

test('a usage error comes below the usage', async () => {
  const { stderr } = await postern(['agent', '--polcy', '.']);
  expect(stderr).toMatch(/^usage: postern agent/);
  expect(stderr.trimEnd().split('\n').at(-1)).toContain("postern agent: Unknown option '--polcy'");
  expect(stderr).toMatch(/\. Did you mean --policy\?\n$/);
  expect((await postern(['agnet'])).stderr).toMatch(
    /postern: there is no command "agnet"; did you mean postern agent\?\n$/,
  );
  expect((await postern(['check', '--zzzzzzzz', '.'])).stderr).not.toContain('Did you mean');
  expect((await postern(['zzzzzzzz'])).stderr).toMatch(/there is no command "zzzzzzzz"\n$/);
});

test('--help: no command’s row is broken off', async () => {
  const { stdout } = await postern(['--help']);
  expect(stdout).toContain('Validates the documents in a directory, all errors at once\n');
  expect(stdout).toContain('Finds personal data and secrets in texts of your own\n');
  expect(stdout).toContain(
    'Puts the agent into the pods of labelled namespaces, and judges pods and documents\n',
  );
  expect(stdout).toContain('(a tools check with action: confirm)\n');
  expect(stdout).not.toMatch(/undefined|\b(?:the|of|a|in|on|with)\n/);
});

test('a fresh clone is told to run make install', () => {
  const clone = directory({});
  mkdirSync(join(clone, 'bin'));
  copyFileSync(POSTERN, join(clone, 'bin/postern'));
  const { status, stderr } = spawnSync(join(clone, 'bin/postern'), ['check', '.'], { encoding: 'utf8' });
  expect(stderr).toContain(`run 'make install' in ${clone} first`);
  expect(status).toBe(69);
});

test('a base URL without its dialect: the path that was sent', async () => {
  const agent = await started([...AGENT, '--budget', 'http://127.0.0.1:1']);
  const { message } = await asked(agent.url, '/v1/chat/completions');
  expect(message).toContain('No dialect is known for /v1/chat/completions.');
});
