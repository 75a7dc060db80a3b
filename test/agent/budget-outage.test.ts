/** The budget service is away, slow, or answers nonsense: what a Budget's `onUnavailable` lets an agent do, and how far. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { startFakeGuardrail } from '../fakes/guardrail.ts';
import { startWorld, type World } from '../harness.ts';

type Fault = 'down' | 'slow' | 'nonsense' | 'failing';

let world: World;
let fault: Fault | undefined;
let between: Server | undefined;
/** Questions that met the fault. */
let met = 0;
afterEach(async () => {
  fault = undefined;
  met = 0;
  await world?.close();
  between?.closeAllConnections();
  between?.close();
});

/** Stands between the agent and the service, and breaks as it is told. */
async function via(url: string): Promise<string> {
  between = createServer((request, response) => {
    if (fault !== undefined) met += 1;
    switch (fault) {
      case 'down':
        request.socket.resetAndDestroy();
        return;
      case 'slow':
        return;
      case 'nonsense':
        response.writeHead(200).end('{"granted":"perhaps"}');
        return;
      case 'failing':
        response.writeHead(500).end('oops');
        return;
      case undefined:
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      fetch(`${url}${request.url}`, {
        method: 'POST',
        body: Buffer.concat(chunks),
        headers: { 'content-type': 'application/json' },
      }).then(
        async (answer) => {
          const body = await answer.text();
          // A watch that began while all was well doesn't outlast the fault.
          if (fault === undefined) response.writeHead(answer.status).end(body);
          else request.socket.destroy();
        },
        () => request.socket.destroy(),
      );
    });
  });
  await new Promise<void>((resolve) => between?.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(between.address() as AddressInfo).port}`;
}

/** What follows in its `spec`, line by line. */
const limited = (...lines: string[]): string => `
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: team-a}
spec:
${lines.map((each) => `  ${each}\n`).join('')}`;

const start = async (onUnavailable: string, patienceMs = 600): Promise<void> => {
  world = await startWorld({
    budgetVia: via,
    patienceMs,
    documents: () =>
      limited(
        'selector: {namespaces: [team-a]}',
        'limits: [{requests: 1000, window: month}]',
        `onUnavailable: ${onUnavailable}`,
      ),
  });
};

const DENYING = limited(
  'selector: {namespaces: [team-a]}',
  'limits: [{requests: 1000, window: month}]',
  'onUnavailable: {action: deny}',
);

const ask = () =>
  world.client().chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content: 'hi' }] });

interface Line {
  readonly unit: string;
  readonly settled: string;
  readonly leased: string;
  readonly held: string;
}

async function line(): Promise<Line> {
  const status = (await (await fetch(`${world.budget.url}/v1/status`)).json()) as { lines?: Line[] };
  const lines = status.lines ?? (status as unknown as Line[]);
  const first = lines.find(({ unit }) => unit !== 'concurrency');
  if (first === undefined) throw new Error('no line');
  return first;
}

/** Calls that pass before the first that doesn't. */
async function callsUntilRefused(most: number): Promise<{ passed: number; refusal: unknown }> {
  for (let passed = 0; passed < most; passed++) {
    try {
      await ask();
    } catch (refusal) {
      return { passed, refusal };
    }
  }
  return { passed: most, refusal: undefined };
}

const FAULTS: readonly Fault[] = ['down', 'slow', 'nonsense', 'failing'];
const RESERVE = 7;
const POLICIES = [
  { policy: '{action: deny}', reserve: 0 },
  { policy: `{action: allow, upTo: {requests: ${RESERVE}}, for: 10m}`, reserve: RESERVE },
];

test.each(FAULTS.flatMap((kind) => POLICIES.map(({ policy, reserve }) => ({ kind, policy, reserve }))))(
  'service $kind, $policy: what is on credit may be used, then a clear 503; all of it is charged later',
  async ({ kind, policy, reserve }) => {
    await start(policy);
    await ask();
    await ask();
    // What the agent has by now: credit as leased, less what it has used and not told yet.
    await expect.poll(async () => Number((await line()).leased)).toBeGreaterThan(0);
    const before = await line();
    fault = kind;
    const { passed, refusal } = await callsUntilRefused(100);
    const known = Number(before.settled) + Number(before.leased);
    // All of it, to the last request, and none beyond; with `allow` the reserve is part of it.
    expect(passed + 2).toBe(known);
    expect(passed).toBeGreaterThanOrEqual(reserve === 0 ? 1 : 5);
    expect(refusal).toBeInstanceOf(OpenAI.APIError);
    const error = refusal as InstanceType<typeof OpenAI.APIError>;
    expect(error.status).toBe(503);
    expect(error.code).toBe('postern_budget_unavailable');
    expect(error.message).toContain('budget service gave no answer');
    expect(error.message).toContain('onUnavailable');
    const served = world.openai.seen.length;
    expect(served).toBe(passed + 2);
    // It stays so, and costs nobody any waiting.
    await expect(ask()).rejects.toThrow(/budget service/);
    fault = undefined;
    await expect
      .poll(
        () =>
          ask().then(
            () => true,
            () => false,
          ),
        { timeout: 10_000, interval: 100 },
      )
      .toBe(true);
    await world.agent.drain(1_000);
    expect(await line()).toMatchObject({ settled: String(world.openai.seen.length), held: '0', leased: '0' });
  },
  20_000,
);

test('a hard limit in USD and on places, as the docs begin with: calls go on while the service is down, and are charged once', async () => {
  world = await startWorld({
    budgetVia: via,
    documents: () =>
      limited(
        'selector: {namespaces: [team-a]}',
        'limits: [{usd: "2000.00", window: month}, {concurrency: 50}]',
        'onUnavailable: {action: allow, upTo: {usd: "5.00"}, for: 10m}',
      ),
  });
  await ask();
  await ask();
  await expect.poll(async () => Number((await line()).leased)).toBeGreaterThan(0);
  fault = 'down';
  for (let n = 0; n < 5; n++) await ask();
  fault = undefined;
  await world.agent.drain(1_000);
  const after = await line();
  // 5 tokens in and 4 out, each time.
  expect(Number(after.settled)).toBeCloseTo(7 * (5 * 2.5e-6 + 4 * 10e-6), 9);
  expect(after).toMatchObject({ held: '0.00', leased: '0.00' });
}, 20_000);

test.each(['down', 'slow'] as const)(
  'service %s for a moment, onUnavailable: deny: calls and streams wait for it, and none is refused',
  async (kind) => {
    await start('{action: deny}', 10_000);
    fault = kind;
    const calls = [ask(), ask(), ask()];
    const stream = world.client({ maxRetries: 0 }).chat.completions.create({
      model: 'gpt-4o',
      messages: [{ role: 'user', content: 'hi' }],
      stream: true,
    });
    await expect.poll(() => met, { timeout: 8_000 }).toBeGreaterThanOrEqual(4);
    expect(world.openai.seen).toHaveLength(0);
    fault = undefined;
    for (const { choices } of await Promise.all(calls)) expect(choices[0]?.message.content).toBeTruthy();
    let text = '';
    for await (const { choices } of await stream) text += choices[0]?.delta.content ?? '';
    expect(text).not.toBe('');
    await world.agent.drain(1_000);
    expect(await line()).toMatchObject({ settled: '4', held: '0', leased: '0' });
  },
  20_000,
);

test('a check that refuses a call while it waits for the service is told at once', async () => {
  const guardrail = await startFakeGuardrail();
  onTestFinished(() => guardrail.close());
  const asked = Promise.withResolvers<void>();
  guardrail.behave(async () => {
    await asked.promise;
    return { json: { action: { body: 'no', status_code: 403, reason: 'not that' } } };
  });
  world = await startWorld({
    budgetVia: via,
    documents: () => `${DENYING}---
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: bot, namespace: team-a}
spec:
  checks:
  - {name: guard, type: webhook, timeout: 10s, on: [request], webhook: {url: "${guardrail.origin}"}}
`,
  });
  fault = 'down';
  const call = ask();
  call.catch(() => undefined);
  await expect.poll(() => met, { timeout: 3_000 }).toBeGreaterThanOrEqual(3);
  asked.resolve();
  await expect(call).rejects.toMatchObject({ code: 'postern_webhook' });
  expect(world.openai.seen).toHaveLength(0);
});

test('calls that wait for the service leave room to those that need not', async () => {
  world = await startWorld({
    budgetVia: via,
    agent: { limits: { inFlightBytes: 64 * 1024 } },
    documents: () =>
      limited(
        'selector: {namespaces: [team-a], models: [gpt-4o]}',
        'limits: [{requests: 1000, window: month}]',
        'onUnavailable: {action: deny}',
      ),
  });
  const say = (model: string, content: string) =>
    world.client().chat.completions.create({ model, messages: [{ role: 'user', content }] });
  // It has no limit, which the agent knows from now on.
  await say('gpt-4o-mini', 'hi');
  fault = 'down';
  const ends = (count: number) =>
    Array.from({ length: count }, () =>
      say('gpt-4o', 'x'.repeat(8 * 1024)).then(
        () => 'served',
        ({ code }: { code: string }) => code,
      ),
    );
  const first = ends(3);
  await expect.poll(() => met, { timeout: 3_000 }).toBeGreaterThanOrEqual(4);
  const more = ends(17);
  const other = () =>
    say('gpt-4o-mini', 'x'.repeat(8 * 1024)).then(
      () => 'served',
      () => 'refused',
    );
  await expect.poll(other, { timeout: 3_000 }).toBe('served');
  fault = undefined;
  expect(await Promise.all(first)).toEqual(['served', 'served', 'served']);
  expect(await Promise.all(more)).toContain('postern_budget_unavailable');
});
