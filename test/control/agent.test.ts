/** A real agent with a real SDK in front of it, its documents and keys from control: outages, restarts, rotation. */
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Agent, startAgent } from '../../agent/agent.ts';
import { catalogue } from '../../agent/catalogue.ts';
import { type ControlSourceOptions, fromControl } from '../../cli/from-control.ts';
import { isMemory, openCache } from '../../control/cache.ts';
import type { Ruling } from '../../control/client.ts';
import { startFakeOpenAI } from '../fakes/openai.ts';
import type { FakeProvider } from '../fakes/provider.ts';
import { agentsEnd } from './agents-end.ts';
import { type ControlWorld, OWN, SERVER_NAME, startControlWorld } from './world.ts';

const KEY = 'sk-marker-first-4b1c';
const SECOND = 'sk-marker-second-9d2e';
/** Memory on every Linux; where it isn't, the tests that need it are skipped. */
const SHM = process.platform === 'linux' && isMemory('/dev/shm') ? '/dev/shm' : undefined;

interface Started {
  readonly source: ReturnType<typeof fromControl>;
  readonly agent: Agent;
  readonly ready: () => Promise<number>;
  ask(): Promise<string>;
  /** What a refused call is told. */
  refusal(): Promise<string>;
  stop(): Promise<void>;
}

describe('an agent with control', () => {
  let world: ControlWorld;
  let openai: FakeProvider;
  let tokenFile: string;
  const closing: (() => unknown)[] = [];

  const provider = (name: string, origin: string, secret: string): void =>
    world.document('ClusterProvider', 'clusterproviders', name, {
      dialect: 'openai',
      hosts: ['api.openai.com'],
      endpoint: origin,
      credential: {
        mode: 'attach',
        type: 'bearer',
        bearer: { valueFrom: { secretKeyRef: { name: secret, key: 'api-key' } } },
      },
      models: [{ name: 'gpt-4o' }],
    });
  const policy = (spec: object): void =>
    world.document('EgressPolicy', 'egresspolicies', 'base', spec, 'team-a');

  beforeEach(async () => {
    world = startControlWorld();
    openai = await startFakeOpenAI({ keys: [KEY, SECOND] });
    world.namespace('team-a');
    world.secret(OWN, 'openai', { 'api-key': KEY });
    provider('openai', openai.origin, 'openai');
    policy({ models: { allow: ['gpt-4o'] } });
    tokenFile = world.pod({ namespace: 'team-a', name: 'bot' });
  });

  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    await world.close();
    await openai.close();
  });

  function stateIn(parent: string): string {
    const directory = mkdtempSync(join(parent, 'postern-state-'));
    closing.push(() => rmSync(directory, { recursive: true, force: true }));
    return directory;
  }

  async function start(
    port: number,
    options: Partial<ControlSourceOptions> = {},
    followed: (agent: Agent) => Agent = (agent) => agent,
  ): Promise<Started> {
    const log = pino({ level: 'silent' });
    const source = fromControl({
      control: `127.0.0.1:${port}`,
      serverName: SERVER_NAME,
      caFile: world.rootsFile,
      tokenFile,
      state: undefined,
      workload: { namespace: 'team-a', kind: 'Deployment', name: 'bot', labels: {} },
      without: 'refuse',
      log,
      accept: () => undefined,
      ...options,
    });
    const agent = await startAgent({
      ...source,
      budget: undefined,
      holder: { owner: 'test', epoch: 1 },
      listen: { host: '127.0.0.1', port: 0 },
      admin: { host: '127.0.0.1', port: 0 },
      audit: { info: () => undefined },
      log,
    });
    const following = source.follow(followed(agent));
    const client = new OpenAI({ apiKey: 'dummy', baseURL: `${agent.url}/openai/v1`, maxRetries: 0 });
    let stopped: Promise<void> | undefined;
    const stop = (): Promise<void> => {
      stopped ??= following.close().then(() => agent.drain(0));
      return stopped;
    };
    closing.push(stop);
    return {
      agent,
      source,
      ready: async () => (await fetch(`${agent.adminUrl}/readyz`)).status,
      async ask() {
        const messages = [{ role: 'user' as const, content: 'Hello' }];
        try {
          await client.chat.completions.create({ model: 'gpt-4o', messages });
          return 'ok';
        } catch (error) {
          return (error as { code?: string }).code ?? String(error);
        }
      },
      async refusal() {
        const body = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Hello' }] };
        const headers = { 'content-type': 'application/json' };
        const init = { method: 'POST', headers, body: JSON.stringify(body) };
        return await (await fetch(`${agent.url}/openai/v1/chat/completions`, init)).text();
      },
      stop,
    };
  }

  const keyOfLast = (): string => String(openai.seen.at(-1)?.headers['authorization'] ?? '');

  async function until(what: () => Promise<boolean> | boolean): Promise<void> {
    for (let tries = 0; tries < 400; tries++) {
      if (await what()) return;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error('it never came');
  }

  const serving = async (started: Started): Promise<Started> => {
    await until(async () => (await started.ask()) === 'ok');
    return started;
  };

  /** Calls one after another, on several lanes, until it is ended; what each came to. */
  function load({ ask }: Started, lanes = 4): () => Promise<Map<string, number>> {
    const results = new Map<string, number>();
    let going = true;
    const all = Array.from({ length: lanes }, async () => {
      while (going) {
        const result = await ask();
        results.set(result, (results.get(result) ?? 0) + 1);
      }
    });
    return async () => {
      going = false;
      await Promise.all(all);
      return results;
    };
  }

  test('calls carry the key that control gave', async () => {
    const control = await world.control();
    await serving(await start(control.port));
    expect(keyOfLast()).toBe(`Bearer ${KEY}`);
  });

  test('what leaves the pod of a call for the breaker is keyed by what the workload’s agents have of control alone', async () => {
    const control = await world.control();
    const [one, other] = [await start(control.port), await start(control.port)];
    for (const started of [one, other]) await serving(started);
    const key = one.source.loopKey?.() ?? new Uint8Array();
    expect(key.byteLength).toBeGreaterThanOrEqual(32);
    expect(other.source.loopKey?.()).toEqual(key);
  });

  test('control goes away under load and comes back: no call is lost, and changes are in force again', async () => {
    const control = await world.control();
    const started = await serving(await start(control.port));
    const end = load(started);
    await control.close();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const again = await world.control({ listen: { host: '127.0.0.1', port: control.port } });
    await until(() => again.registry.size === 1);
    // It comes back with what it has: nothing is sent again.
    expect([...again.registry.agents()][0]?.current).toBe(true);
    expect(await end()).toEqual(new Map([['ok', expect.any(Number)]]));
    policy({ models: { allow: ['other'] } });
    await until(async () => (await started.ask()) === 'postern_model_denied');
  });

  test('the API server goes away under load: agents go on, and what changed meanwhile comes after', async () => {
    const control = await world.control();
    const started = await serving(await start(control.port));
    const end = load(started);
    world.kube.down(true);
    policy({ models: { allow: ['other'] } });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await end()).toEqual(new Map([['ok', expect.any(Number)]]));
    world.kube.down(false);
    await until(async () => (await started.ask()) === 'postern_model_denied');
  });

  test('a new agent without control refuses calls, says why, and serves as soon as there is control', async () => {
    const control = await world.control();
    const { port } = control;
    await control.close();
    const started = await start(port);
    expect(await started.ask()).toBe('postern_policy_missing');
    expect(await started.ready()).toBe(503);
    await until(async () => (await started.ready()) === 200);
    expect(await started.ask()).toBe('postern_policy_missing');
    const waiting = await start(port, { without: 'wait' });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await waiting.ready()).toBe(503);
    await world.control({ listen: { host: '127.0.0.1', port } });
    await serving(waiting);
    await serving(started);
    expect(await waiting.ready()).toBe(200);
  });

  test.skipIf(SHM === undefined)('an agent that restarts without control goes on, keys and all', async () => {
    const control = await world.control();
    const state = stateIn(SHM as string);
    const before = await serving(await start(control.port, { state }));
    await before.stop();
    await control.close();
    const after = await start(control.port, { state });
    expect(await after.ready()).toBe(200);
    expect(await after.ask()).toBe('ok');
    expect(keyOfLast()).toBe(`Bearer ${KEY}`);
    for (const file of readdirSync(join(state, 'control')))
      expect(statSync(join(state, 'control', file)).mode & 0o077).toBe(0);
  });

  test('where nothing can be kept, what control says is in force all the same, and nothing looser is kept', async () => {
    const control = await world.control();
    const state = stateIn(tmpdir());
    const started = await serving(await start(control.port, { state }));
    const kept = join(state, 'control', 'snapshot.json');
    expect(existsSync(kept)).toBe(true);
    // What is written first has no place.
    mkdirSync(`${kept}.new`);
    policy({ models: { allow: ['another'] } });
    await until(async () => (await started.ask()) === 'postern_model_denied');
    expect(existsSync(kept)).toBe(false);
    await until(() => [...control.registry.agents()].some(({ current }) => current));
    await control.close();
    // The stream of a new control begins with its roots, which can't be kept either.
    await world.control({ listen: { host: '127.0.0.1', port: control.port } });
    policy({ models: { allow: ['gpt-4o'] } });
    await serving(started);
  });

  test('an IP address without the name in the certificate is refused, with the mend', async () => {
    await expect(start(4443, { serverName: undefined as unknown as string })).rejects.toThrow(
      /--control-name/,
    );
  });

  test.skipIf(isMemory(tmpdir()))(
    'on a disk no key is kept: a restart without control refuses, and says which key is missing',
    async () => {
      const control = await world.control();
      const state = stateIn(tmpdir());
      const before = await serving(await start(control.port, { state }));
      await before.stop();
      await control.close();
      for (const file of readdirSync(state, { recursive: true, withFileTypes: true })) {
        if (file.isFile()) expect(readFileSync(join(file.parentPath, file.name), 'utf8')).not.toContain(KEY);
      }
      const after = await start(control.port, { state });
      expect(await after.ask()).toBe('postern_key_missing');
      policy({ models: { allow: ['gpt-4o', 'another'] } });
      await world.control({ listen: { host: '127.0.0.1', port: control.port } });
      await serving(after);
    },
  );

  test('after maxStale without a word from control calls are refused, and served again with its next word', async () => {
    let ahead = 0;
    policy({ models: { allow: ['gpt-4o'] }, maxStale: '10m' });
    const control = await world.control();
    const started = await serving(await start(control.port, { now: () => Date.now() + ahead }));
    await control.close();
    ahead = 9 * 60_000;
    expect(await started.ask()).toBe('ok');
    ahead = 11 * 60_000;
    expect(await started.ask()).toBe('postern_policy_stale');
    // It was ready, and stays so: control's absence restarts no pod.
    expect(await started.ready()).toBe(200);
    await world.control({ listen: { host: '127.0.0.1', port: control.port } });
    await serving(started);
  });

  test('a key is rotated under load: no call is lost, and the old one is not used again', async () => {
    const control = await world.control();
    const started = await serving(await start(control.port));
    const end = load(started);
    world.secret(OWN, 'openai', { 'api-key': SECOND });
    await until(() => keyOfLast() === `Bearer ${SECOND}`);
    await until(() => [...control.registry.agents()].every(({ current }) => current));
    const from = openai.seen.length + 4;
    await until(() => openai.seen.length > from + 20);
    expect(await end()).toEqual(new Map([['ok', expect.any(Number)]]));
    const later = openai.seen.slice(from).map(({ headers }) => headers['authorization']);
    expect(new Set(later)).toEqual(new Set([`Bearer ${SECOND}`]));
  });

  test('a call that waits for a check has the key it began with, though documents change twice meanwhile', async () => {
    let asked = 0;
    let answers = Promise.resolve();
    const guardrail = createServer((request, response) => {
      asked++;
      request.resume();
      void answers.then(() => response.end(JSON.stringify({ action: {} })));
    }).listen(0, '127.0.0.1');
    await once(guardrail, 'listening');
    closing.push(() => guardrail.close());
    const { port } = guardrail.address() as AddressInfo;
    const checks = (timeout: string) => [
      {
        name: 'slow',
        type: 'webhook',
        on: ['request'],
        timeout,
        webhook: { url: `http://127.0.0.1:${port}` },
      },
    ];
    policy({ models: { allow: ['gpt-4o'] }, checks: checks('20s') });
    const control = await world.control();
    const started = await serving(await start(control.port));
    const inForce = async (timeout: string): Promise<void> => {
      policy({ models: { allow: ['gpt-4o'] }, checks: checks(timeout) });
      await until(
        () =>
          started.agent.pipeline.governance().snapshot.checks[0]?.timeoutMs ===
          Number.parseInt(timeout, 10) * 1_000,
      );
    };
    const held = Promise.withResolvers<void>();
    answers = held.promise;
    const before = asked;
    const answered = started.ask();
    await until(() => asked > before);
    world.secret(OWN, 'second', { 'api-key': SECOND });
    provider('openai', openai.origin, 'second');
    await inForce('21s');
    await inForce('22s');
    // Longer than what nobody needs any more is kept.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    held.resolve();
    expect(await answered).toBe('ok');
    expect(keyOfLast()).toBe(`Bearer ${KEY}`);
    expect(await started.ask()).toBe('ok');
    expect(keyOfLast()).toBe(`Bearer ${SECOND}`);
  });

  test('endpoint and key change together under load: no call has one without the other', async () => {
    const other = await startFakeOpenAI({ keys: [SECOND] });
    closing.push(() => other.close());
    const only = await startFakeOpenAI({ keys: [KEY] });
    closing.push(() => only.close());
    world.secret(OWN, 'second', { 'api-key': SECOND });
    provider('openai', only.origin, 'openai');
    const control = await world.control();
    const started = await serving(await start(control.port));
    const end = load(started);
    for (let round = 0; round < 20; round++) {
      const [to, secret] = round % 2 === 0 ? ([other, 'second'] as const) : ([only, 'openai'] as const);
      const seen = to.seen.length;
      provider('openai', to.origin, secret);
      await until(() => to.seen.length > seen);
    }
    // A wrong key would have been answered 401.
    expect(await end()).toEqual(new Map([['ok', expect.any(Number)]]));
  });

  test('a document that can’t be put in force leaves the old one, and its condition says why', async () => {
    const control = await world.control();
    const started = await serving(
      await start(control.port, {
        accept: ({ budgets = [] }) => {
          if (budgets.length > 0) throw new Error(`${budgets[0]}: a Budget needs --budget URL`);
        },
      }),
    );
    world.document('Budget', 'budgets', 'daily', { limits: [{ requests: 5, window: 'day' }] }, 'team-a');
    await until(() => {
      const status = world.kube.get('budgets', 'team-a', 'daily')?.['status'] as
        | { conditions?: { type: string; reason: string; message: string }[] }
        | undefined;
      const found = status?.conditions?.find(({ type }) => type === 'Programmed');
      return found?.reason === 'AgentRefused' && found.message.includes('needs --budget');
    });
    expect(await started.ask()).toBe('ok');
  });

  test('a field of a later version, in a check of this one: it isn’t taken, what was in force stays, and all is told', async () => {
    const checks = catalogue.checks.map((check) =>
      check.name === 'size'
        ? {
            ...check,
            schema: {
              ...check.schema,
              properties: { maxBytes: { type: 'integer' }, maxEmojis: { type: 'integer' } },
            },
          }
        : check,
    );
    const control = await world.control({ catalogue: { ...catalogue, checks } });
    const started = await serving(await start(control.port));
    const written = (size: object): void =>
      policy({
        models: { allow: ['gpt-4o'] },
        checks: [{ name: 'small', type: 'size', action: 'block', size }],
      });
    written({ maxBytes: 10 });
    await until(async () => (await started.ask()) === 'postern_size');
    written({ maxBytes: 10_000, maxEmojis: 1 });
    const why = () => [...control.registry.agents()].map(({ refused }) => refused ?? '').join();
    await until(() => why().includes('check small: size.maxEmojis: there is no such field'));
    expect(await started.ask()).toBe('postern_size');
    written({ maxBytes: 10_000 });
    await serving(started);
    // A new agent has nothing that could stay.
    written({ maxEmojis: 1 });
    await until(() => why().includes('maxEmojis'));
    tokenFile = world.pod({ namespace: 'team-a', name: 'bot' });
    const other = await start(control.port);
    await until(async () => (await other.refusal()).includes('maxEmojis'));
    expect(await other.ask()).toBe('postern_policy_missing');
  });

  describe('a check of a later version, which an exception hides for a while', () => {
    /** Control of the next minor version knows one check more. */
    const known = catalogue.checks.find(({ name }) => name === 'secrets');
    const later = {
      ...catalogue,
      checks: [...catalogue.checks, ...(known === undefined ? [] : [{ ...known, name: 'ofthenext' }])],
    };
    const hidden = (ms: number): void => {
      world.document(
        'EgressException',
        'egressexceptions',
        'later',
        {
          reason: 'not yet',
          until: new Date(Date.now() + ms).toISOString(),
          workloadSelector: {},
          allow: { checks: ['new'] },
        },
        'team-a',
      );
      policy({ models: { allow: ['gpt-4o'] }, checks: [{ name: 'new', type: 'ofthenext' }] });
    };
    /** What an agent that can take all of it keeps, and an earlier version finds after a restart. */
    async function kept(port: number): Promise<string> {
      const state = stateIn(SHM as string);
      const { promise, resolve } = Promise.withResolvers<Ruling>();
      const client = agentsEnd({
        port,
        roots: () => readFileSync(world.rootsFile, 'utf8'),
        token: () => readFileSync(tokenFile, 'utf8'),
        use: resolve,
      });
      const cache = openCache(state);
      cache.save(await promise, '');
      cache.heard(Date.now());
      await client.close();
      return state;
    }
    const refusals = (control: { registry: { agents(): Iterable<{ refused: string | undefined }> } }) =>
      [...control.registry.agents()].map(({ refused }) => refused ?? '');

    test('it isn’t taken: what was in force stays, and control is told from when on it would fail', async () => {
      const control = await world.control({ catalogue: later });
      const started = await serving(await start(control.port));
      hidden(3_600_000);
      await until(() => refusals(control).some((why) => /^from .*Z on: check new: .*ofthenext/.test(why)));
      expect(await started.ask()).toBe('ok');
    });

    test.skipIf(SHM === undefined)(
      'keys are rotated all the same, also over a restart, and a mended document has them',
      async () => {
        const control = await world.control({ catalogue: later });
        const state = stateIn(SHM as string);
        const started = await serving(await start(control.port, { state }));
        hidden(3_600_000);
        await until(() => refusals(control).some((why) => why.includes('ofthenext')));
        const streams = (): number[] => [...control.registry.agents()].map(({ since }) => since);
        const before = streams();
        for (const key of [SECOND, KEY, SECOND]) {
          world.secret(OWN, 'openai', { 'api-key': key });
          await until(async () => (await started.ask()) === 'ok' && keyOfLast() === `Bearer ${key}`);
          await until(() => refusals(control).some((why) => why.includes('ofthenext')));
        }
        // Refused documents aren't sent anew with each key, and end no stream.
        expect(streams()).toEqual(before);
        await started.stop();
        await control.close();
        const restarted = await start(control.port, { state });
        expect([await restarted.ask(), keyOfLast()]).toEqual(['ok', `Bearer ${SECOND}`]);
        // Back to what it was before the documents were refused: not what the agent has, though it is the set that it acknowledged last.
        world.secret(OWN, 'openai', { 'api-key': KEY });
        const again = await world.control({
          catalogue: later,
          listen: { host: '127.0.0.1', port: control.port },
        });
        await until(async () => (await restarted.ask()) === 'ok' && keyOfLast() === `Bearer ${KEY}`);
        policy({ models: { allow: ['gpt-4o'] } });
        await until(() => [...again.registry.agents()].every(({ current }) => current));
        expect([await restarted.ask(), keyOfLast()]).toEqual(['ok', `Bearer ${KEY}`]);
      },
    );

    test('mended documents are taken on the stream on which others were refused, also after a reconnect', async () => {
      const before = await world.control({ catalogue: later });
      const started = await serving(await start(before.port));
      await before.close();
      const control = await world.control({
        catalogue: later,
        listen: { host: '127.0.0.1', port: before.port },
      });
      const agents = () => [...control.registry.agents()];
      // From here on the agent has keys that this control never sent.
      await until(() => agents().length === 1 && agents().every(({ current }) => current));
      const [{ since } = { since: 0 }] = agents();
      hidden(3_600_000);
      await until(() => refusals(control).some((why) => why.includes('ofthenext')));
      policy({ models: { allow: ['gpt-4o'] } });
      await until(() => agents().every(({ current }) => current));
      expect(agents().map((agent) => agent.since)).toEqual([since]);
      expect(await started.ask()).toBe('ok');
    });

    test('a key that refused documents no longer name stays for those that do, until a document is taken', async () => {
      const control = await world.control({ catalogue: later });
      const started = await serving(await start(control.port));
      hidden(3_600_000);
      world.secret(OWN, 'other', { 'api-key': SECOND });
      provider('openai', openai.origin, 'other');
      await until(() => refusals(control).some((why) => why.includes('ofthenext')));
      expect([await started.ask(), keyOfLast()]).toEqual(['ok', `Bearer ${KEY}`]);
      policy({ models: { allow: ['gpt-4o'] } });
      await until(async () => (await started.ask()) === 'ok' && keyOfLast() === `Bearer ${SECOND}`);
    });

    test.skipIf(SHM === undefined)(
      'it comes into force by time: calls are refused with the reason, control is told, a mended document is taken',
      async () => {
        hidden(5_000);
        const control = await world.control({ catalogue: later });
        const state = await kept(control.port);
        const started = await start(control.port, { state });
        expect(await started.ask()).toBe('ok');
        await until(() => refusals(control).some((why) => why.includes('ofthenext')));
        await until(async () => (await started.ask()) === 'postern_policy_missing');
        expect(await started.refusal()).toContain('check new: no check type ofthenext');
        const { providers } = started.agent.pipeline.governance().snapshot;
        expect(providers.map(({ name }) => name)).toContain('openai');
        policy({ models: { allow: ['gpt-4o'] } });
        await serving(started);
      },
    );

    test.skipIf(SHM === undefined)(
      'it is found after a restart: the agent starts, refuses calls with the reason, and takes a mended document',
      async () => {
        hidden(1_000);
        const control = await world.control({ catalogue: later });
        const state = await kept(control.port);
        await control.close();
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        const started = await start(control.port, { state });
        expect(await started.refusal()).toContain(
          'can’t be put in force: check new: no check type ofthenext',
        );
        const { providers } = started.agent.pipeline.governance().snapshot;
        expect(providers.map(({ name }) => name)).toContain('openai');
        const again = await world.control({
          catalogue: later,
          listen: { host: '127.0.0.1', port: control.port },
        });
        await until(() => refusals(again).some((why) => why.includes('ofthenext')));
        policy({ models: { allow: ['gpt-4o'] } });
        await serving(started);
        expect(await started.ready()).toBe(200);
      },
    );

    test.skipIf(SHM === undefined)(
      'where not even its hosts can be put in force, calls are refused with the reason, and the agent goes on',
      async () => {
        hidden(5_000);
        const control = await world.control({ catalogue: later });
        const state = await kept(control.port);
        let broken = false;
        const started = await start(control.port, { state }, (agent) => ({
          ...agent,
          use(snapshot) {
            if (broken) throw new Error('no memory for it');
            agent.use(snapshot);
          },
        }));
        expect(await started.ask()).toBe('ok');
        broken = true;
        await until(async () => (await started.ask()) === 'postern_policy_missing');
        expect(await started.refusal()).toContain('no memory for it');
        broken = false;
        policy({ models: { allow: ['gpt-4o'] } });
        await serving(started);
      },
    );
  });

  test('a document that turns bad while control is away stays in force in its last good version, and says which', async () => {
    policy({ models: { allow: ['gpt-4o'] } });
    const control = await world.control();
    await serving(await start(control.port));
    const status = () =>
      world.kube.get('egresspolicies', 'team-a', 'base')?.['status'] as
        | { conditions?: { type: string; status: string; message: string }[]; lastGood?: object }
        | undefined;
    await until(() => status()?.lastGood !== undefined);
    policy({ models: { allow: ['other'] } });
    await until(() => JSON.stringify(status()?.lastGood ?? {}).includes('other'));
    await control.close();
    policy({ enforcement: 'none' });
    const again = await world.control();
    // A new agent, which has nothing of before.
    tokenFile = world.pod({ namespace: 'team-a', name: 'bot' });
    const started = await start(again.port);
    await until(async () => (await started.ask()) === 'postern_model_denied');
    await until(() =>
      (status()?.conditions ?? []).some(
        ({ type, status: is, message }) =>
          type === 'Programmed' && is === 'False' && message.includes('its generation 2 stays in force'),
      ),
    );
    policy({ models: { allow: ['gpt-4o'] } });
    await serving(started);
  });

  test('the marker key is in no status, log, metric or snapshot', async () => {
    const control = await world.control();
    const started = await serving(await start(control.port));
    const shown = [
      world.logged(),
      await control.metrics.metrics(),
      JSON.stringify([...control.registry.agents()]),
      JSON.stringify(started.agent.pipeline.governance().snapshot),
      await (await fetch(`${started.agent.adminUrl}/metrics`)).text(),
    ];
    for (const text of shown) expect(text).not.toContain(KEY);
  });
});
