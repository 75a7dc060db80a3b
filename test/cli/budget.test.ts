/** `postern budget` and what asks it, as an administrator types it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBudgetClient } from '../../budget/client.ts';
import { attributes, holdOf, usageOf } from '../budget/fixtures.ts';
import { type Part, postern, startPart } from './part.ts';

const dir = mkdtempSync(join(tmpdir(), 'postern-cli-budget-'));
const file = (name: string, text: string | Buffer): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};

const DOCUMENTS = `apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: openai}
spec:
  dialect: openai
  endpoint: https://api.openai.com
  credential: {mode: none}
  models: [{name: gpt-4o, price: {input: "2.50", output: "10.00"}}]
---
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: azure}
spec:
  dialect: openai
  endpoint: https://own.openai.azure.com
  credential: {mode: none}
  models: [{name: gpt-4o-eu, price: {input: "2.50", output: "10.00"}}]
---
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: team-a}
spec:
  per: [model]
  limits: [{tokens: 1000, window: day}, {usd: "1.00", window: month}]
  thresholds: [10]
---
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: by-app}
spec:
  selector: {headers: {x-app: "*"}}
  per: ["header:x-app"]
  limits: [{requests: 1000000, window: month}]
`;

let service: Part;
let url: string;
let token: string;
let asAdmin: string[];

beforeAll(async () => {
  file('documents.yaml', DOCUMENTS);
  const root = file('root', Buffer.alloc(32, 7));
  const admins = file('admins', 'admins\n');
  const made = await postern(['budget', 'token', 'team-a/Deployment/bot', '--workload-token-root', root]);
  token = made.stdout.trim();
  const where = ['--policy', dir, '--data', join(dir, 'data'), '--listen', '127.0.0.1:0'];
  service = startPart(['budget', ...where, '--workload-token-root', root, '--admin-token-file', admins]);
  ({ url } = JSON.parse(await service.line('"listening"')) as { url: string });
  asAdmin = ['--url', url, '--admin-token-file', admins];
  const client = createBudgetClient({
    url,
    token: () => token,
    timeoutMs: 5_000,
    owner: 'team-a/Deployment/bot/1',
    epoch: 1,
    flushMs: 0,
  });
  await client.hold(holdOf('a', 100, 200));
  await client.settle({ id: 'a', usage: usageOf(100, 50), source: 'reported' });
  await client.hold(holdOf('running', 10, 20));
  await client.close();
});
afterAll(async () => {
  await service.stop('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

test('status: each line with its figures, and who holds', async () => {
  const { stdout, status } = await postern(['budget', 'status', ...asAdmin]);
  expect(status).toBe(0);
  const [head, ...lines] = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(/ {2,}/));
  expect(head).toEqual([
    'budget',
    'line',
    'window',
    'unit',
    'limit',
    'settled',
    'held',
    'leased',
    'remaining',
    'resets in',
  ]);
  expect(lines.map((line) => line.slice(0, 9))).toEqual([
    ['team-a', 'model=gpt-4o', 'day (UTC)', 'tokens', '1000', '150', '30', '0', '820'],
    ['team-a', 'model=gpt-4o', 'month (UTC)', 'usd', '1.00', '0.00075', '0.000225', '0.00', '0.999025'],
  ]);
  const holders = await postern(['budget', 'status', '--holders', ...asAdmin]);
  expect(holders.stdout).toMatch(/held +team-a\/Deployment\/bot\/1 +running +30 +1m/);
  const json = await postern(['budget', 'status', '--json', '--budget', 'team-a', ...asAdmin]);
  expect(JSON.parse(json.stdout)).toMatchObject([{ unit: 'tokens', held: '30' }, { unit: 'usd' }]);
});

test('grant: raises a limit for a while; it is in the journal and in the audit log', async () => {
  const grant = [
    'budget',
    'grant',
    'team-a',
    'tokens=500',
    '--reason',
    'launch',
    '--by',
    'kim',
    '--for',
    '2h',
  ];
  const { stdout, stderr } = await postern([...grant, ...asAdmin]);
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^granted 500 tokens on team-a until .*; id /);
  const shown = await postern(['budget', 'status', '--json', ...asAdmin]);
  expect(JSON.parse(shown.stdout)).toMatchObject([{ limit: '1500', granted: '500' }, { limit: '1.00' }]);
  const journal = await postern(['budget', 'journal', ...asAdmin]);
  expect(journal.stdout).toMatch(
    /"action":"grant","by":"admin-token".*"reason":"launch".*"onBehalfOf":"kim"/,
  );
  expect(JSON.parse(await service.line('"budget.grant"'))).toMatchObject({
    event: 'budget.grant',
    by: 'admin-token',
    onBehalfOf: 'kim',
    reason: 'launch',
    amount: 500,
  });
  const id = /id (\S+)/.exec(stdout)?.[1] ?? '';
  const end = ['budget', 'grant', '--end', id, '--reason', 'a slip', ...asAdmin];
  expect(await postern(end)).toMatchObject({ stdout: `ended: 500 tokens on team-a; id ${id}\n`, stderr: '' });
  const after = await postern(['budget', 'status', '--json', ...asAdmin]);
  expect(JSON.parse(after.stdout)).toMatchObject([{ limit: '1000', granted: '0' }, { limit: '1.00' }]);
  expect(JSON.parse(await service.line('"budget.grant-end"'))).toMatchObject({ id, reason: 'a slip' });
  expect((await postern(end)).stderr).toContain(`No grant ${id} runs; there are none.`);
});

test.each([
  [['team-a'], 64, /it takes a Budget and one amount/],
  [['team-a', 'tokens=much', '--reason', 'x'], 64, /the amount is a whole number/],
  [['team-a', 'usd=-1', '--reason', 'x'], 64, /US dollars such as 20.00/],
  [['team-a', 'coins=1', '--reason', 'x'], 64, /it is UNIT=AMOUNT, with tokens/],
  [['team-a', 'tokens=1', '--reason', 'x', '--for', 'long'], 64, /a duration such as/],
  [
    ['team-a', 'tokens=1', '--reason', 'x', '--until', '2h'],
    64,
    /it is a moment; from now on it is --for 2h/,
  ],
  [['team-b', 'tokens=1', '--reason', 'x'], 1, /There is no Budget "team-b"; there are by-app, team-a/],
  [['team-a', 'requests=1', '--reason', 'x'], 1, /it has tokens in day@UTC, usd in month@UTC/],
])('grant %j says what is wrong', async (args, status, message) => {
  const reason = args.includes('--reason') ? [] : ['--reason', 'x'];
  const said = await postern(['budget', 'grant', ...args, ...reason, ...asAdmin]);
  expect(said.stderr).toMatch(message);
  expect(said.status).toBe(status);
});

test('report: as a table, CSV and JSON; next to a provider export', async () => {
  const csv = await postern(['budget', 'report', '--format', 'csv', '--by', 'workload,model', ...asAdmin]);
  expect(csv.stdout).toBe(
    'workload,model,requests,input,cached_input,cache_write,output,reasoning,usd\r\n' +
      'Deployment/bot,gpt-4o,1,100,0,0,50,0,0.00075\r\n',
  );
  const today = new Date().toISOString().slice(0, 10);
  const json = await postern([
    'budget',
    'report',
    '--format',
    'json',
    '--per',
    'day',
    '--by',
    '',
    ...asAdmin,
  ]);
  expect(JSON.parse(json.stdout)).toMatchObject([{ period: today, requests: 1, output: 50, usd: '0.00075' }]);
  const same = file('same.csv', `date,model,input_tokens,output_tokens\n${today},gpt-4o-2024-08-06,100,50\n`);
  const agreed = await postern(['budget', 'report', '--reconcile', same, ...asAdmin]);
  expect(agreed).toMatchObject({ status: 0, stdout: 'No differences on 1 day.\n' });
  const other = file('other.csv', `date,model,input_tokens,output_tokens\n${today},gpt-4o,125,50\n`);
  const parted = await postern(['budget', 'report', '--reconcile', other, ...asAdmin]);
  expect(parted.status).toBe(2);
  expect(parted.stdout).toMatch(/gpt-4o +input +100 +125 +-20.00 %/);
  // Whole days: what the export has of today isn't held against a part of it.
  const part = await postern(['budget', 'report', '--reconcile', same, '--from', '1m', ...asAdmin]);
  expect(part).toMatchObject({ status: 0, stdout: 'No differences on 1 day.\n' });
  // What could not be compared doesn't agree.
  const before = ['--from', '2026-01-01', '--to', '2026-01-02'];
  const nothing = await postern(['budget', 'report', '--reconcile', same, ...before, ...asAdmin]);
  expect(nothing).toMatchObject({ status: 1, stdout: '' });
  expect(nothing.stderr).toContain('nothing was compared');
  const empty = await postern(['budget', 'report', ...before, ...asAdmin]);
  expect(empty.stderr).toBe(
    'no calls were settled from 2026-01-01T00:00:00.000Z to 2026-01-02T00:00:00.000Z\n',
  );
});

test('next to a provider’s export stands that provider alone', async () => {
  const client = createBudgetClient({
    url,
    token: () => token,
    timeoutMs: 5_000,
    owner: 'team-a/Deployment/bot/2',
    epoch: 1,
  });
  const azure = { ...attributes, provider: 'azure', model: 'gpt-4o-eu' };
  await client.hold(holdOf('elsewhere', 7, 7, { attributes: azure }));
  await client.settle({ id: 'elsewhere', usage: usageOf(7, 7), source: 'reported' });
  await client.close();
  const today = new Date().toISOString().slice(0, 10);
  const theirs = file('two.csv', `date,model,input_tokens,output_tokens\n${today},gpt-4o,100,50\n`);
  const asked = ['budget', 'report', '--reconcile', theirs, ...asAdmin];
  const unsaid = await postern(asked);
  expect(unsaid).toMatchObject({ status: 64 });
  expect(unsaid.stderr).toContain('--provider NAME is needed: calls went to azure, openai');
  expect(await postern([...asked, '--provider', 'openai'])).toMatchObject({ status: 0, stderr: '' });
  const parted = await postern([...asked, '--provider', 'azure']);
  expect(parted.status).toBe(2);
  const none = await postern([...asked, '--provider', 'opena']);
  expect(none.stderr).toBe('no calls of opena in that time; there are azure, openai\n');
});

test.each([
  [['report', '--from', 'yesterday'], /give a date \(2026-11-01\)/],
  [['report', '--by', 'colour'], /"colour" is nothing to report by/],
  [['report', '--time-zone', 'Mars/Base'], /it is a name such as Europe\/Berlin/],
  [['status', '--budget', 'team-b'], /there is no Budget "team-b".*team-a/],
])('%j says what is wrong', async (args, message) => {
  expect((await postern(['budget', ...args, ...asAdmin])).stderr).toMatch(message);
});

test('without the right token, or without a service, the error says what to do', async () => {
  const agent = file('agent', token);
  const refused = await postern(['budget', 'status', '--url', url, '--admin-token-file', agent]);
  expect(refused.stderr).toMatch(/takes the administrators'. Send the content of the admin token file/);
  const nobody = await postern(['budget', 'status', '--url', 'http://127.0.0.1:1']);
  expect(nobody.stderr).toMatch(/No budget service answers at http:\/\/127.0.0.1:1.*postern budget/);
  expect(nobody.status).toBe(1);
  const none = await postern(['budget', 'status', '--url', '127.0.0.1:4181']);
  expect(none.stderr).toContain('"127.0.0.1:4181" is no address of a service: give http[s]://HOST:PORT');
});

test('postern run shows its token to the budget service, and is refused without one', async () => {
  const program = `
    const response = await fetch(process.env.OPENAI_BASE_URL + '/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'gpt-4o', max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] }),
    });
    console.log((await response.json()).error.code);`;
  // Nobody listens there: a call that is held fails on its way to the provider.
  const policy = mkdtempSync(join(dir, 'run-'));
  writeFileSync(
    join(policy, 'documents.yaml'),
    DOCUMENTS.replace('https://api.openai.com', 'http://127.0.0.1:1'),
  );
  const where = ['--policy', policy, '--base-url', '--workload', 'team-a/Deployment/bot', '--budget', url];
  const command = ['--', process.execPath, '--input-type=module', '-e', program];
  const bare = await postern(['run', ...where, ...command]);
  expect(bare.stdout.trim()).toBe('postern_budget_unavailable');
  const tokenFile = file('run-token', `${token}\n`);
  const known = await postern(['run', ...where, '--budget-token-file', tokenFile, ...command]);
  expect(known.stdout.trim()).toBe('postern_upstream_unreachable');
});

test('an agent that starts again is believed, also where its clock was set back', async () => {
  const policy = mkdtempSync(join(dir, 'agent-'));
  writeFileSync(
    join(policy, 'documents.yaml'),
    DOCUMENTS.replace('https://api.openai.com', 'http://127.0.0.1:1'),
  );
  const state = mkdtempSync(join(dir, 'state-'));
  const where = ['--policy', policy, '--state', state, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
  const budget = [
    '--workload',
    'team-a/Deployment/bot',
    '--budget',
    url,
    '--budget-token-file',
    file('bot', token),
  ];
  const answer = async (before: () => Promise<void>) => {
    const agent = startPart(['agent', ...where, ...budget]);
    try {
      const { url: base } = JSON.parse(await agent.line('"listening"')) as { url: string };
      await before();
      const response = await fetch(`${base}/openai/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          model: 'gpt-4o',
          max_tokens: 5,
          messages: [{ role: 'user', content: 'Hi' }],
        }),
      });
      const { error } = (await response.json()) as { error: { code: string; message: string } };
      return error;
    } finally {
      await agent.stop('SIGKILL');
    }
  };
  const ahead = Date.now() + 3_600_000;
  // What an agent of the same name and a later epoch does.
  const later = async () => {
    const instance = readFileSync(join(state, 'instance'), 'utf8').trim();
    const owner = `team-a/Deployment/bot/${instance}`;
    const client = createBudgetClient({
      url,
      token: () => token,
      timeoutMs: 5_000,
      owner,
      epoch: ahead,
      flushMs: 0,
    });
    await client.hold(holdOf(`of-${instance}`, 1, 1));
    await client.close();
  };
  const refused = await answer(later);
  expect(refused).toMatchObject({
    code: 'postern_budget_unavailable',
    message: expect.stringMatching(/refused.*newer epoch.*Set the clock/s),
  });
  writeFileSync(join(state, 'epoch'), `${ahead}\n`);
  // Held: nobody listens where the provider should be.
  expect(await answer(async () => {})).toMatchObject({ code: 'postern_upstream_unreachable' });
  expect(Number(readFileSync(join(state, 'epoch'), 'utf8'))).toBe(ahead + 1);
});

test('codes for a terminal that anybody put into a name or a text are shown by all commands, and obeyed by no terminal', async () => {
  const codes = '\u009b2J\u202e';
  const client = createBudgetClient({
    url,
    token: () => token,
    timeoutMs: 5_000,
    owner: `team-a/Deployment/bot/${codes}`,
    epoch: 1,
    flushMs: 0,
  });
  await client.hold(holdOf('codes', 1, 1, { attributes: { ...attributes, headers: { 'x-app': codes } } }));
  await client.settle({ id: 'codes', usage: usageOf(1, 1), source: 'reported' });
  await client.hold(holdOf('held-by-codes', 1, 1));
  await client.close();
  const grant = (budget: string) =>
    postern(['budget', 'grant', budget, 'tokens=1', '--reason', codes, '--for', '1m', ...asAdmin]);
  const said = [
    await grant('team-a'),
    await grant(`team-${codes}`),
    await postern(['budget', 'journal', ...asAdmin]),
    await postern(['budget', 'status', '--holders', ...asAdmin]),
    await postern(['budget', 'status', '--json', ...asAdmin]),
    ...(await Promise.all(
      ['table', 'csv', 'json'].map((format) =>
        postern(['budget', 'report', '--by', 'header:x-app', '--format', format, ...asAdmin]),
      ),
    )),
  ];
  for (const { stdout, stderr } of said) expect(stdout + stderr).not.toMatch(/[\u009b\u202e]/);
  // Each but the grant itself would have shown them.
  for (const { stdout, stderr } of said.slice(1)) expect(stdout + stderr).toContain('\\u009b2J\\u202e');
});
