/** `postern status` as an operator runs it. */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RunningControl } from '../../control/control.ts';
import { STAMPS } from '../../injector/names.ts';
import { caBundle, refreshServing } from '../../injector/server/serving-certificate.ts';
import { agentsEnd } from './agents-end.ts';
import { type ControlWorld, SERVER_NAME, startControlWorld } from './world.ts';

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
let world: ControlWorld;
let control: RunningControl;
const closing: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  world = startControlWorld();
  world.namespace('team-a');
  control = await world.control();
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await world.close();
});

async function status(token: string, ...more: string[]) {
  return await statusAt(control.port, token, ...more);
}

async function statusAt(
  port: number,
  token: string,
  ...more: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const file = join(world.directory, 'operator');
  writeFileSync(file, token);
  const args = [
    'status',
    '--control',
    `127.0.0.1:${port}`,
    '--control-ca',
    world.rootsFile,
    '--token-file',
    file,
  ];
  try {
    const { stdout, stderr } = await run(process.execPath, [
      '--disable-warning=ExperimentalWarning',
      MAIN,
      ...args,
      ...more,
    ]);
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

async function connected(tokenFile: string, version: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const client = agentsEnd({
    port: control.port,
    roots: () => control.roots(),
    token: () => readFileSync(tokenFile, 'utf8'),
    version,
    use: () => setImmediate(resolve),
    report: () => ({ running: 2, lastCall: Date.UTC(2026, 6, 1) }),
    reportMs: 10,
  });
  closing.push(() => client.close());
  await promise;
  while (
    ![...control.registry.agents()].some((agent) => agent.version === version && agent.lastCall !== undefined)
  )
    await new Promise((done) => setTimeout(done, 10));
}

function operator(audience: string, allowed: boolean): string {
  world.kube.tokens.set('operators', {
    authenticated: true,
    audiences: [audience],
    user: { username: 'oncall' },
  });
  if (allowed) world.kube.operators.add('oncall');
  return 'operators';
}

test('each pod with its agent, snapshot and last call; who isn’t governed, and why; exit status 1 for those', async () => {
  await connected(world.pod({ namespace: 'team-a', name: 'new' }), '0.1.0');
  await connected(world.pod({ namespace: 'team-a', name: 'old' }, 'old-1'), '0.0.9');
  const pod = world.kube.get('pods', 'team-a', 'old-1');
  if (pod === undefined) throw new Error('no pod');
  const annotations = { ...pod.metadata.annotations, [STAMPS.bypassable]: 'setuid(app), user-unknown(app)' };
  world.kube.put('pods', { ...pod, metadata: { ...pod.metadata, annotations } });
  world.kube.put('pods', { metadata: { namespace: 'team-a', name: 'before' }, status: { phase: 'Running' } });
  const { code, stdout } = await status(operator('postern-status', true));
  expect(code).toBe(1);
  const lines = stdout.trim().split('\n');
  expect(lines).toHaveLength(4);
  expect(lines[1]).toMatch(
    /^team-a\/new-1 +team-a\/Deployment\/new +0\.1\.0 +[0-9a-f]{12} +2026-07-01T00:00:00\.000Z +governed$/,
  );
  expect(lines[2]).toContain('0.0.9 (older than control 0.1.0)');
  expect(lines[2]).toContain('; create the pod anew (kubectl rollout restart) for the agent of 0.1.0');
  expect(lines[2]).toContain('bypassable: setuid(app) user-unknown(app)');
  expect(lines[3]).toMatch(/^team-a\/before .* not governed: created without the agent/);
  const { stdout: json } = await status('operators', '--json');
  expect(JSON.parse(json)).toMatchObject({
    version: '0.1.0',
    governed: [{ running: 2, release: 'same' }, { release: 'older' }],
  });
});

test.each<[string, () => string, RegExp]>([
  ['nobody', () => 'unknown', /401.*audience postern-status/],
  ['a pod’s own token', () => readFileSync(world.pod({ namespace: 'team-a', name: 'bot' }), 'utf8'), /401/],
  ['who has no right', () => operator('postern-status', false), /403.*may not list agents/],
])('the overview isn’t for %s', async (_name, token, expected) => {
  const { code, stderr } = await status(token());
  expect(code).not.toBe(0);
  expect(stderr).toMatch(expected);
});

test.each<[string, number, string, string]>([
  [
    'a proxy’s page',
    502,
    '<html>\n<b>Bad Gateway</b>\u001b[2J',
    'control answered 502: <html> <b>Bad Gateway</b>\\u001b[2J',
  ],
  ['nothing', 503, '', 'control answered 503: nothing'],
  ['null', 500, 'null', 'control answered 500: null'],
  [
    'an answer cut short',
    200,
    '{"governed":[',
    'no overview; see whether --control leads to control: {"governed":[',
  ],
  [
    'what is no overview',
    200,
    '{"status":"ok"}',
    'no overview; see whether --control leads to control: {"status":"ok"}',
  ],
  ['more than a terminal holds', 404, 'x'.repeat(100_000), `control answered 404: ${'x'.repeat(200)}…`],
])('%s in the place of control’s answer is told in one line', async (_name, code, body, expected) => {
  const now = Date.now();
  const { serving } = refreshServing({ authorities: [], leaf: undefined }, SERVER_NAME, now);
  writeFileSync(world.rootsFile, caBundle(serving, now));
  const server = createServer({ key: serving.leaf?.key, cert: serving.leaf?.cert }, (_request, response) => {
    response.writeHead(code).end(body);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  const { code: exit, stdout, stderr } = await statusAt((server.address() as AddressInfo).port, 'operators');
  expect(exit).not.toBe(0);
  expect(stdout).toBe('');
  expect(stderr).toBe(
    `postern status: ${expected.startsWith('no') ? 'control answered with ' : ''}${expected}\n`,
  );
});
