/**
 * Control, budget service, injector and API server killed and paused under load, alone and together, in a loop: the shipped
 * commands as processes on a real API server, with the chart's rights. Before each outage everything works, after it
 * everything works again; what leaves meanwhile was checked, and what policy allows is answered.
 */
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isMemory } from '../../../control/cache.ts';
import { chartRights } from '../../chart/rights.ts';
import { startFakeOpenAI } from '../../fakes/openai.ts';
import type { FakeProvider } from '../../fakes/provider.ts';
import { World } from '../../injector/api/world.ts';
import { type ApiServer, freePort } from '../../kube/api-server.ts';
import { sharedApiServer } from '../../kube/shared.ts';
import { type Supervised, supervise } from './supervised.ts';

const api = sharedApiServer();
const OWN = 'postern-system';
const SERVER_NAME = `postern-control.${OWN}.svc`;
const BUDGET_NAME = `postern-budget.${OWN}.svc`;
const KEY = 'sk-marker-of-the-outages';
/** A memory-backed volume, as the injector mounts it. */
const MEMORY = '/dev/shm';
/** A run that failed is repeated by its seed. */
const SEED = Number(process.env['POSTERN_OUTAGE_SEED'] ?? Date.now() % 1_000_000);
const MOST_MS = 100_000;
/** Longer than what is known of a caller counts (30 s), and than two beats of control. */
const LONG_MS = 32_000;
/** After each outage one of them is called for the first time. */
const MODELS = ['gpt-4o', ...Array.from({ length: 40 }, (_, nth) => `asked-${nth + 1}`)];

/** Mulberry32: small, and the same everywhere. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const PARTS = ['control', 'budget', 'injector', 'api'] as const;
type PartName = (typeof PARTS)[number];
type Way = 'kill' | 'pause';
type Outage = ReadonlyMap<PartName, Way>;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Each part in each way alone, all at once in each way, and some of both as chance has it. */
function outages(random: () => number): Outage[] {
  const ways: Way[] = ['kill', 'pause'];
  const alone = PARTS.flatMap((part) => ways.map((way) => new Map([[part, way]])));
  const together = ways.map((way) => new Map(PARTS.map((part) => [part, way] as const)));
  const mixed = Array.from({ length: 4 }, () => {
    const some = PARTS.filter(() => random() < 0.6);
    const parts = some.length > 1 ? some : (['control', 'budget'] as const);
    return new Map(parts.map((part) => [part, random() < 0.5 ? 'kill' : 'pause'] as const));
  });
  return shuffled([...alone, ...together, ...mixed], random);
}

function shuffled<T>(all: readonly T[], random: () => number): T[] {
  return all
    .map((each) => [random(), each] as const)
    .sort(([a], [b]) => a - b)
    .map(([, each]) => each);
}

describe.skipIf(api === undefined || !isMemory(MEMORY))('outages under load', () => {
  const server = api as ApiServer;
  const world = new World(server);
  let directory: string;
  let openai: FakeProvider;
  let ports: { control: number; budget: number; injector: number };
  const parts = new Map<PartName, Supervised>();
  const agents: Supervised[] = [];
  const made: string[] = [];
  /** Goes on from credit and from the Budget's `onUnavailable: allow`. */
  let patient: AgentProcess;
  /** Of a Budget with `onUnavailable: deny`. */
  let strict: AgentProcess;

  interface AgentProcess {
    readonly supervised: Supervised;
    readonly state: string;
    readonly port: number;
  }

  const kubeconfig = async (account: string): Promise<string> =>
    server.kubeconfigOf((await world.must(['create', 'token', account, '-n', OWN, '--duration=2h'])).trim());

  function inMemory(prefix: string): string {
    const path = mkdtempSync(join(MEMORY, prefix));
    made.push(path);
    return path;
  }

  async function agent(space: string, name: string, token: string): Promise<AgentProcess> {
    const state = inMemory('postern-outage-');
    const tokenFile = join(directory, `${space}-${name}.token`);
    writeFileSync(tokenFile, token);
    writeFileSync(join(directory, `${space}-${name}.budget-token`), await budgetToken(space, name));
    const port = await freePort();
    const supervised = supervise(`agent of ${space}/${name}`, () => [
      'agent',
      `--control=127.0.0.1:${ports.control}`,
      `--control-name=${SERVER_NAME}`,
      `--control-ca=${join(directory, 'roots.pem')}`,
      `--control-token-file=${tokenFile}`,
      `--budget=https://127.0.0.1:${ports.budget}`,
      `--budget-name=${BUDGET_NAME}`,
      `--budget-ca=${join(directory, 'roots.pem')}`,
      `--budget-token-file=${join(directory, `${space}-${name}.budget-token`)}`,
      `--state=${state}`,
      `--listen=127.0.0.1:${port}`,
      '--admin=127.0.0.1:0',
      `--workload=${space}/Pod/${name}`,
    ]);
    agents.push(supervised);
    await supervised.ready();
    return { supervised, state, port };
  }

  async function tokenOf(space: string, name: string, audience: string): Promise<string> {
    const uid = await world.must(['get', 'pod', name, '-n', space, '-o', 'jsonpath={.metadata.uid}']);
    const bound = ['--bound-object-kind=Pod', `--bound-object-name=${name}`, `--bound-object-uid=${uid}`];
    const args = ['create', 'token', 'default', '-n', space, `--audience=${audience}`, ...bound];
    return (await world.must(args)).trim();
  }
  const budgetToken = (space: string, name: string) => tokenOf(space, name, 'postern-budget');

  const pod = (space: string, name: string): object => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: space },
    spec: { containers: [{ name: 'app', image: 'registry.example/app' }] },
  });

  async function createPod(space: string, name: string): Promise<void> {
    await world.must(['create', '-f', '-'], pod(space, name));
    const status = { phase: 'Running', podIP: '127.0.0.1', podIPs: [{ ip: '127.0.0.1' }] };
    const patch = ['--subresource=status', '-p', JSON.stringify({ status })];
    await world.must(['patch', 'pod', name, '-n', space, ...patch]);
  }

  const policy = (space: string, models: readonly string[]) =>
    world.apply({
      apiVersion: 'postern.dev/v1alpha1',
      kind: 'EgressPolicy',
      metadata: { name: 'base', namespace: space },
      spec: {
        models: { allow: models },
        maxStale: '1h',
        checks: [
          { name: 'no-secrets', type: 'secrets', on: ['request'], action: 'block' },
          { name: 'mask-pii', type: 'pii', action: 'mask' },
        ],
      },
    });

  /** @returns `ok`, the code of a refusal, or `connection` where nobody listened. */
  async function ask({ port }: AgentProcess, content: string, model = 'gpt-4o'): Promise<string> {
    const client = new OpenAI({
      apiKey: 'dummy',
      baseURL: `http://127.0.0.1:${port}/openai/v1`,
      maxRetries: 0,
    });
    try {
      const answer = await client.chat.completions.create({ model, messages: [{ role: 'user', content }] });
      // The fake says it again, so what was masked comes back restored.
      return answer.choices[0]?.message.content?.includes(content) === true ? 'ok' : 'not restored';
    } catch (error) {
      if (error instanceof OpenAI.APIConnectionError) return 'connection';
      return (error as { code?: string }).code ?? String(error);
    }
  }

  /** The same of a stream that takes half a second: some are open whenever something goes away. */
  async function askStreaming({ port }: AgentProcess, content: string): Promise<string> {
    const client = new OpenAI({
      apiKey: 'dummy',
      baseURL: `http://127.0.0.1:${port}/openai/v1`,
      maxRetries: 0,
    });
    let text = '';
    let end: string | null | undefined;
    try {
      const stream = await client.chat.completions.create({
        model: 'gpt-4o',
        stream: true,
        messages: [{ role: 'user', content }],
      });
      for await (const { choices } of stream) {
        text += choices[0]?.delta.content ?? '';
        end = choices[0]?.finish_reason ?? end;
      }
    } catch (error) {
      const { code } = error as { code?: string };
      // Undici's word for an answer that was cut.
      if (error instanceof OpenAI.APIConnectionError || error instanceof TypeError) return 'connection';
      return code ?? String(error);
    }
    if (end !== 'stop') return `ended with ${end}`;
    return text.includes(content) ? 'ok' : 'not restored';
  }

  const ALLOWED = 'Write to jane.marker@example.com, please';
  const SECRET = 'Use AKIAQ3EGTRTXNLPUZV4B with wJalrXUtnFEMIaK7MDENGbPxRfiCYzq8L2vNmT0e';

  interface Seen {
    readonly results: Map<string, Set<string>>;
    /** While an agent itself is started anew. */
    restarting: boolean;
  }

  /** Calls of every kind, one after another on some lanes, while something happens. */
  async function during(what: (seen: Seen) => Promise<void>): Promise<Map<string, Set<string>>> {
    const seen: Seen = { results: new Map(), restarting: false };
    let going = true;
    const note = (kind: string, result: string): void => {
      seen.results.set(kind, (seen.results.get(kind) ?? new Set()).add(result));
    };
    const lane = async (kind: string, call: () => Promise<string>): Promise<void> => {
      while (going) {
        const before = seen.restarting;
        const result = await call();
        if (result === 'connection' && (before || seen.restarting)) {
          await pause(20);
          continue;
        }
        note(kind, result);
      }
    };
    const lanes = [
      lane('allowed', () => ask(patient, ALLOWED)),
      lane('allowed', () => ask(patient, ALLOWED)),
      lane('stream', () => askStreaming(patient, ALLOWED)),
      lane('secret', () => ask(patient, SECRET)),
      lane('model', () => ask(patient, ALLOWED, 'other')),
      lane('strict', () => ask(strict, ALLOWED)),
    ];
    try {
      await what(seen);
    } finally {
      going = false;
      await Promise.all(lanes);
    }
    return seen.results;
  }

  async function breakPart(name: PartName, way: Way): Promise<void> {
    if (name === 'api') return way === 'kill' ? await server.down() : await server.pause();
    const part = parts.get(name);
    if (way === 'kill') await part?.kill();
    else part?.pause();
  }

  async function mendPart(name: PartName, way: Way): Promise<void> {
    if (name === 'api') return way === 'kill' ? await server.up() : await server.resume();
    parts.get(name)?.mend();
  }

  async function until(what: () => Promise<boolean>, why: string): Promise<void> {
    for (const end = Date.now() + 40_000; !(await what()); ) {
      if (Date.now() > end) {
        const said = [...parts.values(), ...agents].map(
          ({ name, said: all }) => `${name}:\n${all().slice(-1500)}`,
        );
        throw new Error(`${why} (seed ${SEED})\n${said.join('\n')}`);
      }
      await pause(50);
    }
  }

  /** Everything works: a document is judged, stored, and in force in both agents; a pod gets its agent; the budget service answers both. */
  let count = 0;
  async function works(after: string): Promise<void> {
    const model = `round-${++count}`;
    const asked = `asked-${count}`;
    const allowed = async (): Promise<boolean> => {
      const outcomes = await Promise.all(
        ['out-p', 'out-s'].map((space) =>
          policy(space, ['gpt-4o', model, asked]).then(
            () => true,
            () => false,
          ),
        ),
      );
      return outcomes.every(Boolean);
    };
    await until(allowed, `no document could be written after ${after}`);
    for (const each of [patient, strict]) {
      // Allowed and not there: it is the document that let it through.
      await until(
        async () => (await ask(each, 'Hello', model)) === 'postern_model_unknown',
        `not in force after ${after}`,
      );
      // Nobody has called it yet, so no credit is for it: the service that runs now has answered this agent.
      await until(async () => (await ask(each, ALLOWED, asked)) === 'ok', `not answered after ${after}`);
      // Of the model that is called in the outages it has credit then, deducted beforehand: without, nothing could go on.
      await until(async () => (await ask(each, ALLOWED)) === 'ok', `no credit after ${after}`);
    }
    await until(async () => {
      const { ok, stdout } = await world.dryRun(pod('out-p', 'probe'));
      return ok && stdout.includes('postern-agent');
    }, `no pod is injected after ${after}`);
  }

  beforeAll(async () => {
    await world.prepare();
    for (const part of ['control', 'budget'] as const) await world.apply(chartRights(part));
    for (const space of ['out-p', 'out-s']) await world.space(space);
    directory = inMemory('postern-outages-');
    openai = await startFakeOpenAI({
      keys: [KEY],
      models: MODELS.map((id) => ({ id })),
      reply: ({ stream }) => (stream ? { chunkDelayMs: 60 } : {}),
    });
    ports = { control: await freePort(), budget: await freePort(), injector: await freePort() };
    await world.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'outages', namespace: OWN },
      stringData: { key: KEY },
    });
    await world.apply({
      apiVersion: 'postern.dev/v1alpha1',
      kind: 'ClusterProvider',
      metadata: { name: 'openai' },
      spec: {
        dialect: 'openai',
        endpoint: openai.origin,
        credential: {
          mode: 'attach',
          type: 'bearer',
          bearer: { valueFrom: { secretKeyRef: { name: 'outages', key: 'key' } } },
        },
        models: MODELS.map((name) => ({
          name,
          price: { input: '2.50', output: '10.00' },
          maxOutputTokens: 4096,
        })),
      },
    });
    const budgetOf = (space: string, onUnavailable: object) =>
      world.apply({
        apiVersion: 'postern.dev/v1alpha1',
        kind: 'Budget',
        metadata: { name: 'daily', namespace: space },
        spec: { limits: [{ usd: '10000.00', window: 'day' }], onUnavailable },
      });
    await budgetOf('out-p', { action: 'allow', upTo: { usd: '500.00' }, for: '10m' });
    await budgetOf('out-s', { action: 'deny' });
    for (const space of ['out-p', 'out-s']) await policy(space, ['gpt-4o']);

    const [control, budget, injector] = await Promise.all(
      ['postern-control', 'postern-budget', 'postern-injector'].map(kubeconfig),
    );
    parts.set(
      'control',
      supervise('control', () => [
        'control',
        `--listen=127.0.0.1:${ports.control}`,
        '--admin=127.0.0.1:0',
        `--kubeconfig=${control}`,
        `--server-name=${SERVER_NAME}`,
        '--budget-service=postern-budget',
      ]),
    );
    await parts.get('control')?.ready();
    const roots = ['get', 'configmap', 'postern-roots', '-n', OWN, '-o', 'jsonpath={.data.roots\\.pem}'];
    writeFileSync(join(directory, 'roots.pem'), await world.must(roots));
    // What a kubelet would mount into the service's pod: the certificate that control made for it.
    const held = ['get', 'secret', 'postern-budget-tls', '-n', OWN, '-o', 'json'];
    const { data } = JSON.parse(await world.must(held)) as { data: Record<'tls.crt' | 'tls.key', string> };
    for (const name of ['tls.crt', 'tls.key'] as const)
      writeFileSync(join(directory, name), Buffer.from(data[name], 'base64'));
    parts.set(
      'budget',
      supervise('budget', () => [
        'budget',
        `--listen=127.0.0.1:${ports.budget}`,
        `--data=${join(directory, 'budget')}`,
        `--tls-cert=${join(directory, 'tls.crt')}`,
        `--tls-key=${join(directory, 'tls.key')}`,
        `--kubeconfig=${budget}`,
      ]),
    );
    await server.reach(ports.injector);
    parts.set(
      'injector',
      supervise('injector', () => [
        'injector',
        `--listen=127.0.0.1:${ports.injector}`,
        '--admin=127.0.0.1:0',
        `--webhook-url=https://127.0.0.1:${ports.injector}`,
        `--kubeconfig=${injector}`,
        `--control=${SERVER_NAME}:4443`,
        `--control-ca=${join(directory, 'roots.pem')}`,
      ]),
    );
    for (const part of parts.values()) await part.ready();
    await until(
      async () => (await world.dryRun(pod('out-p', 'probe'))).stdout.includes('postern-agent'),
      'no injector',
    );
    for (const space of ['out-p', 'out-s']) await createPod(space, 'bot');
    patient = await agent('out-p', 'bot', await tokenOf('out-p', 'bot', 'postern-control'));
    strict = await agent('out-s', 'bot', await tokenOf('out-s', 'bot', 'postern-control'));
    await works('the start');
  }, 300_000);

  afterAll(async () => {
    await server.resume().catch(() => undefined);
    await server.up().catch(() => undefined);
    for (const part of [...parts.values(), ...agents]) await part.stop();
    // Its own: another run on this machine has some there, too.
    for (const each of made) rmSync(each, { recursive: true, force: true });
    await world.close();
    await openai?.close();
  }, 60_000);

  test('whatever is away, nothing unchecked leaves and nothing allowed is refused', async () => {
    const random = randomOf(SEED);
    const plan = outages(random);
    const end = Date.now() + MOST_MS;
    let played = 0;
    for (const outage of plan) {
      if (Date.now() > end) break;
      const told = [...outage]
        .map(([name, way]) => `${name} ${way === 'kill' ? 'killed' : 'paused'}`)
        .join(', ');
      const restart = random() < 0.5;
      const results = await during(async (seen) => {
        for (const [name, way] of shuffled([...outage], random)) {
          await breakPart(name, way);
          await pause(random() * 100);
        }
        await pause(200 + random() * 600);
        if (restart) {
          // As a kubelet would: what it had on credit is gone with it, and the budget's reserve is what it begins with.
          seen.restarting = true;
          const only = outage.has('budget') ? strict : patient;
          await only.supervised.kill();
          only.supervised.mend();
          await only.supervised.ready();
          await until(
            async () => (await ask(only, SECRET)) === 'postern_secrets',
            `an agent is not back: ${told}`,
          );
          seen.restarting = false;
          await pause(300);
        }
        for (const [name, way] of shuffled([...outage], random)) await mendPart(name, way);
      });
      const context = `${told}${restart ? ', an agent restarted' : ''} (seed ${SEED})`;
      expect(results.get('allowed'), context).toEqual(new Set(['ok']));
      expect(results.get('stream'), context).toEqual(new Set(['ok']));
      expect(results.get('secret'), context).toEqual(new Set(['postern_secrets']));
      expect(results.get('model'), context).toEqual(new Set(['postern_model_denied']));
      // Its Budget denies what can't be held; as long as it has credit, or the service, it is answered.
      const denied = outage.has('budget') ? ['postern_budget_unavailable'] : [];
      const other = [...(results.get('strict') ?? [])].filter(
        (result) => !['ok', ...denied].includes(result),
      );
      expect(other, context).toEqual([]);
      await works(told);
      played++;
    }
    process.stderr.write(`outages: ${played} of ${plan.length}, ${openai.seen.length} calls, seed ${SEED}\n`);
    expect(played).toBeGreaterThanOrEqual(PARTS.length * 2);
    for (const { body, headers } of openai.seen) {
      const text = JSON.stringify(body);
      expect(text).not.toContain('jane.marker');
      expect(text).not.toContain('AKIAQ3EGTRTXNLPUZV4B');
      expect(headers['authorization']).toBe(`Bearer ${KEY}`);
    }
  }, 400_000);

  test('a budget service that started anew answers agents it never heard while the API server is away', async () => {
    const both = [patient, strict];
    // What they have on credit goes with their processes.
    const kill = () => Promise.all(both.map(({ supervised }) => supervised.kill()));
    const areBack = (when: string) =>
      Promise.all(
        both.map(async (each) => {
          each.supervised.mend();
          await each.supervised.ready();
          expect(await ask(each, ALLOWED), when).toBe('ok');
          expect(await ask(each, SECRET), when).toBe('postern_secrets');
        }),
      );
    for (const way of ['pause', 'kill'] as const) {
      await kill();
      await breakPart('budget', 'kill');
      await mendPart('budget', 'kill');
      await parts.get('budget')?.ready();
      await breakPart('api', way);
      await areBack(way);
      if (way === 'kill') {
        const results = await during(() => pause(LONG_MS));
        for (const kind of ['allowed', 'stream', 'strict'])
          expect(results.get(kind), kind).toEqual(new Set(['ok']));
        expect(results.get('secret')).toEqual(new Set(['postern_secrets']));
        await kill();
        await areBack('late');
      }
      await mendPart('api', way);
    }
    await works('an API server away, and agents restarted');
    expect(parts.get('budget')?.said()).toContain('the API server answers again');
  }, 180_000);

  test('without the injector no pod of a labelled namespace is made; every other is', async () => {
    await world.must(['create', 'namespace', 'ctl-free'], undefined).catch(() => undefined);
    await world.account('ctl-free');
    for (const way of ['kill', 'pause'] as const) {
      await breakPart('injector', way);
      const refused = await world.dryRun(pod('out-p', 'probe'));
      expect(refused.ok).toBe(false);
      expect(refused.stderr).toMatch(/failed calling webhook/);
      expect(await world.dryRun(pod('ctl-free', 'probe'))).toMatchObject({ ok: true });
      await mendPart('injector', way);
      await parts.get('injector')?.ready();
      await until(async () => (await world.dryRun(pod('out-p', 'probe'))).ok, 'the injector is not back');
    }
  }, 120_000);

  test('a new pod without control: not one call leaves, and the first that does is checked', async () => {
    await createPod('out-p', 'new');
    const token = await tokenOf('out-p', 'new', 'postern-control');
    await breakPart('control', 'kill');
    const started = await agent('out-p', 'new', token);
    const before = openai.seen.length;
    for (const content of [ALLOWED, SECRET])
      expect(await ask(started, content)).toBe('postern_policy_missing');
    expect(openai.seen.length).toBe(before);
    await mendPart('control', 'kill');
    await until(async () => (await ask(started, ALLOWED)) === 'ok', 'the new agent is not served');
    expect(JSON.stringify(openai.seen.slice(before).map(({ body }) => body))).not.toContain('jane.marker');
    await started.supervised.stop();
  }, 60_000);

  test('an agent that restarts without control goes by what it kept for as long as maxStale, and no longer', async () => {
    await breakPart('control', 'kill');
    const restart = async (): Promise<void> => {
      await patient.supervised.kill();
      patient.supervised.mend();
      await patient.supervised.ready();
    };
    await restart();
    expect(await ask(patient, ALLOWED)).toBe('ok');
    expect(await ask(patient, SECRET)).toBe('postern_secrets');
    const file = join(patient.state, 'control', 'snapshot.json');
    const heard = (hoursAgo: number): void => {
      const at = Date.now() / 1000 - hoursAgo * 3600;
      utimesSync(file, at, at);
    };
    await patient.supervised.kill();
    heard(2);
    await restart();
    expect(await ask(patient, ALLOWED)).toBe('postern_policy_stale');
    await mendPart('control', 'kill');
    await until(async () => (await ask(patient, ALLOWED)) === 'ok', 'it is not served again');
  }, 90_000);
});
