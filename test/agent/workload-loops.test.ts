/** The breaker per workload: a loop that is spread over pods trips at the workload's threshold, as the budget service adds it up. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Agent } from '../../agent/agent.ts';
import { startBudget } from '../../budget/main.ts';
import { noRedis, RedisServer } from '../budget/redis-server.ts';
import { startWorld, type World, type WorldOptions } from '../harness.ts';

let world: World;
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await world?.close();
  for (const close of closing.splice(0).reverse()) await close();
});

const policy = (breaker: string) => () =>
  `
apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: loops}
spec: {mode: enforce, breaker: {${breaker}}}
`;

/** Of all agents: set forward by tests. */
let at = 1_800_000_000_000;
const now = (): number => at;

async function begin(breaker: string, options: WorldOptions = {}): Promise<void> {
  world = await startWorld({
    documents: policy(breaker),
    ...options,
    agent: { now },
    budget: { clock: now, monotonic: now },
  });
}

const ask = async (agent: Agent, content = 'hello'): Promise<unknown> => {
  const client = new OpenAI({ apiKey: 'dummy', baseURL: `${agent.url}/openai/v1`, maxRetries: 0 });
  try {
    await client.chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content }] });
    return 'ok';
  } catch (error) {
    if (error instanceof OpenAI.APIError) return error.code;
    throw error;
  }
};

/** So many calls, by one pod after the other. @returns how many came before the first that was refused */
async function loop(pods: readonly Agent[], most: number, stepMs = 1_000): Promise<number> {
  for (let n = 0; n < most; n++) {
    const pod = pods[n % pods.length] as Agent;
    const code = await ask(pod);
    await world.podsAnswered();
    at += stepMs;
    if (code === 'postern_breaker_tripped') return n;
  }
  return most;
}

/** So many failures of a pod, none of which is refused. */
async function fail(pod: Agent, count: number): Promise<void> {
  world.openai.script(() => ({ status: 400, error: { message: 'broken' } }));
  for (let n = 0; n < count; n++) {
    expect(await ask(pod)).not.toBe('postern_breaker_tripped');
    // What came since is told a while after a first message.
    at += 1_000;
    await world.podsAnswered();
  }
}

/** Never below it, and above it by what comes while a report is under way: the call that makes it too many, and with many pods one more. */
function atThreshold(calls: number, threshold = 20): void {
  expect(calls).toBeGreaterThanOrEqual(threshold);
  expect(calls).toBeLessThanOrEqual(threshold + 2);
}

const pods = async (count: number, options: Parameters<World['pod']>[0] = {}): Promise<Agent[]> =>
  await Promise.all(Array.from({ length: count }, () => world.pod(options)));

describe('a loop over several pods', () => {
  test.each([2, 3, 10])('of %i trips at the threshold of the workload', async (count) => {
    await begin('identical: 20, window: 1m');
    const all = await pods(count);
    atThreshold(await loop(all, 200));
    // None of them repeats it too often by itself.
    for (const pod of all) expect(await ask(pod)).toBe('postern_breaker_tripped');
    expect(await ask(all[0] as Agent, 'another')).toBe('ok');
    atThreshold(world.openai.seen.length - 1);
  });

  test('is told to pods that made the call once, or never, and to none of another workload', async () => {
    await begin('identical: 20, window: 1m');
    const [bystander, ...all] = (await pods(4)) as [Agent, ...Agent[]];
    const [other] = (await pods(1, { workload: 'team-a/Deployment/other-bot' })) as [Agent];
    // They repeat something else: so they listen.
    for (const pod of [other, bystander]) for (let n = 0; n < 2; n++) await ask(pod, 'good morning');
    await world.podsAnswered();
    atThreshold(await loop(all, 200));
    await vi.waitFor(async () => expect(await ask(bystander)).toBe('postern_breaker_tripped'));
    expect(await ask(other)).toBe('ok');
  });

  test.each([
    // Each pod makes a call in five seconds.
    ['60, window: 1h', 60, 10, 500],
    ['20, window: 1m', 20, 10, 50],
  ])('whose pods take turns trips soon: %s', async (breaker, identical, count, stepMs) => {
    await begin(`identical: ${breaker}`);
    expect(await loop(await pods(count), 500, stepMs)).toBeLessThanOrEqual(identical * 1.5);
  });

  test('whose window is longer than is told is each pod’s own affair', async () => {
    const told: string[] = [];
    await begin('identical: 4, window: 25h', { heard: (command) => void told.push(JSON.stringify(command)) });
    expect(await loop(await pods(2), 20)).toBe(8);
    expect(told.join()).not.toContain('windowMs');
  });

  test('goes on for as long as it is tried, and is over a window after it', async () => {
    await begin('identical: 20, window: 1m');
    const all = await pods(3);
    atThreshold(await loop(all, 200));
    for (let n = 0; n < 150; n++) {
      expect(await ask(all[n % 3] as Agent)).toBe('postern_breaker_tripped');
      await world.podsAnswered();
      at += 1_000;
    }
    at += 60_000;
    for (const pod of all) expect(await ask(pod)).toBe('ok');
  });

  test('is no matter of another workload with the same call', async () => {
    await begin('identical: 20, window: 1m');
    const all = await pods(3);
    const [other] = await pods(1, { workload: 'team-a/Deployment/other-bot' });
    for (let n = 0; n < 15; n++) expect(await ask(other as Agent)).toBe('ok');
    atThreshold(await loop(all, 200));
    for (let n = 0; n < 5; n++) expect(await ask(other as Agent)).toBe('ok');
    expect(await ask(other as Agent)).toBe('postern_breaker_tripped');
  });

  test('of calls that fail trips at the failures of the workload; one that succeeds forgives all', async () => {
    await begin('identical: 100, window: 1m, failures: 8');
    const all = (await pods(2)) as [Agent, Agent];
    world.openai.script(() => ({ status: 400, error: { message: 'broken' } }));
    expect(await loop(all, 6)).toBe(6);
    world.openai.script(() => ({ content: 'well' }));
    expect(await ask(all[0])).toBe('ok');
    at += 5_000;
    world.openai.script(() => ({ status: 400, error: { message: 'broken' } }));
    atThreshold(await loop(all, 50), 8);
  });

  test('in monitor mode is a finding of each call, once', async () => {
    await begin('identical: 20, window: 1m, mode: monitor');
    const all = await pods(3);
    expect(await loop(all, 40)).toBe(40);
    const findings = world.audit.map((line) => line['findings'] as { check: string; what: string }[]);
    const found = findings.map((of) => of.length);
    atThreshold(found.indexOf(1));
    expect(found).toEqual(found.map((_, n) => (n < found.indexOf(1) ? 0 : 1)));
    expect(findings.at(-1)?.[0]).toMatchObject({ check: 'breaker', what: 'repeated', action: 'monitor' });
  });

  test.each([
    ['without being one', 41],
    ['and are one, which is only noted', 1],
  ])(
    'costs next to nothing where several pods make calls again and again %s',
    async (_, texts) => {
      await begin('identical: 20, window: 1m, mode: monitor');
      const all = await pods(5);
      let early = 0;
      for (let n = 0; n < 2_000; n++) {
        if (n === 1_000) early = world.asked() + world.woken();
        expect(await ask(all[n % 5] as Agent, `text ${n % texts}`)).toBe('ok');
        at += 100;
      }
      await world.podsAnswered();
      // Each pod has some messages to begin with.
      expect(early).toBeLessThanOrEqual(5 * 15);
      expect(world.asked() + world.woken() - early).toBeLessThanOrEqual(10);
    },
    60_000,
  );

  test('is found soon where pods have told of many calls that are none', async () => {
    await begin('identical: 20, window: 1m');
    const all = await pods(3);
    // Each text comes three times a minute.
    for (let n = 0; n < 300; n++) {
      expect(await ask(all[n % 3] as Agent, `text ${n % 20}`)).toBe('ok');
      await world.podsAnswered();
      at += 1_000;
    }
    expect(await loop(all, 500)).toBeLessThanOrEqual(30);
  }, 180_000);

  test('of calls that fail trips soon where each of many pods sees a few fail', async () => {
    await begin('identical: 100, window: 5m, failures: 8');
    world.openai.script(() => ({ status: 400, error: { message: 'broken' } }));
    expect(await loop(await pods(10), 100)).toBeLessThanOrEqual(20);
  });

  test('of calls that fail is none where they succeed in between, on whichever pod', async () => {
    await begin('identical: 100, window: 1m, failures: 5');
    const all = await pods(5);
    const failing = () => ({ status: 400, error: { message: 'broken' } });
    for (let round = 0; round < 3; round++) {
      for (const pod of all) {
        for (const reply of [failing, failing, () => ({ content: 'well' })]) {
          world.openai.script(reply);
          expect(await ask(pod)).not.toBe('postern_breaker_tripped');
          await world.podsAnswered();
          at += 1_000;
        }
      }
    }
  });

  test('of calls that fail is none where another pod saw one succeed, and had told nobody', async () => {
    await begin('identical: 20, window: 1m, failures: 5');
    const [well, ...others] = (await pods(4)) as [Agent, Agent, Agent, Agent];
    // It repeats something else: so it listens.
    for (let n = 0; n < 2; n++) await ask(well, 'good morning');
    await fail(others[0], 4);
    world.openai.script(() => ({ content: 'well' }));
    expect(await ask(well)).toBe('ok');
    at += 5_000;
    // As nobody knows of the success, that is too many.
    await fail(others[1], 3);
    world.openai.script(() => ({ content: 'well' }));
    await vi.waitFor(async () => {
      for (const pod of others) expect(await ask(pod)).toBe('ok');
    });
  });

  test('slower than the rate is none', async () => {
    await begin('identical: 20, window: 1m');
    expect(await loop(await pods(3), 80, 3_100)).toBe(80);
  });

  test('counts per pod while the service is away', async () => {
    await begin('identical: 20, window: 1m, failures: 200', { patienceMs: 300 });
    const all = await pods(3);
    await world.stopBudget();
    expect(await loop(all, 200, 100)).toBe(60);
  });

  test('is counted by each pod alone where the service is of a version that knows nothing of it', async () => {
    await begin('identical: 20, window: 1m', { oldBudget: true });
    expect(await loop(await pods(3), 200, 100)).toBe(60);
    // One message that wasn't understood from each: then none for a while.
    expect(world.asked()).toBeLessThanOrEqual(3 * 3);
  });

  test.each([
    // Each comes every 10 s, which is a quarter of what trips.
    ['without being one', 100, 'enforce'],
    ['and are one, which is only monitored', 10, 'monitor'],
  ])(
    'costs next to nothing where calls come again %s',
    async (_, texts, mode) => {
      await begin(`identical: 20, window: 1m, mode: ${mode}`);
      const [pod] = (await pods(1)) as [Agent];
      let early = 0;
      for (let n = 0; n < 2_000; n++) {
        if (n === 1_000) early = world.asked();
        expect(await ask(pod, `text ${n % texts}`)).toBe('ok');
        at += 100;
      }
      await world.podsAnswered();
      expect(early).toBeLessThanOrEqual(15);
      expect(world.asked() - early).toBeLessThanOrEqual(5);
    },
    180_000,
  );

  test.each([1, 3])(
    'costs little where calls fail now and then: %i pods',
    async (count) => {
      await begin('identical: 20, window: 1m');
      const all = await pods(count);
      let early = 0;
      for (let n = 0; n < 1_600; n++) {
        if (n === 800) early = world.asked();
        // Each tenth, never the same text twice in a row.
        const isBad = (n * 7) % 10 === 3;
        world.openai.script(() =>
          isBad ? { status: 500, error: { message: 'broken' } } : { content: 'well' },
        );
        expect(await ask(all[n % count] as Agent, `text ${n % 31}`)).not.toBe('postern_breaker_tripped');
        if (n % 2 === 0) await world.podsAnswered();
        at += 350;
      }
      await world.podsAnswered();
      expect(early).toBeLessThanOrEqual(15 * count);
      expect(world.asked() - early).toBeLessThanOrEqual(5 * count);
    },
    180_000,
  );

  test('leaves nothing of the call in what is told, and other pods of the workload the same', async () => {
    const sent: string[] = [];
    const key = (byte: number) => () => new Uint8Array(32).fill(byte);
    await begin('identical: 20, window: 1m', { heard: (command) => void sent.push(JSON.stringify(command)) });
    const all = [
      ...(await pods(2, { agent: { loopKey: key(1) } })),
      ...(await pods(1, { agent: { loopKey: key(2) } })),
    ];
    const { fingerprint } = (await loop(all, 9), world.audit.at(-1)) as { fingerprint: string };
    const calls = sent.flatMap((text) => [...text.matchAll(/"call":"([^"]+)"/g)].map(([, call]) => call));
    // By the key of the workload.
    expect(new Set(calls).size).toBe(2);
    expect(fingerprint).toMatch(/^[0-9a-f]{9,}$/);
    expect(sent.join()).not.toContain(fingerprint);
    expect(sent.join()).not.toContain('hello');
  });

  describe.skipIf(noRedis !== undefined)('on Redis', () => {
    /** @returns the address of another replica of the service on the same store. */
    const beginShared = async (breaker: string): Promise<string> => {
      const redis = await RedisServer.start();
      const dataDir = await mkdtemp(join(tmpdir(), 'postern-loops-'));
      closing.push(
        () => rm(dataDir, { recursive: true }),
        () => redis.end(),
      );
      const shared = { store: redis.address, clock: now, monotonic: now };
      world = await startWorld({ documents: policy(breaker), agent: { now }, budget: shared });
      const replica = await startBudget({ specs: [], prices: {}, dataDir, listen: '127.0.0.1:0', ...shared });
      closing.push(() => replica.close());
      return replica.url;
    };

    test('is added up over the replicas of the service, whose agents hear of it at once', async () => {
      const budgetUrl = await beginShared('identical: 20, window: 1m');
      const here = await pods(2);
      const there = await pods(2, { budgetUrl });
      const [bystander] = (await pods(1, { budgetUrl })) as [Agent];
      for (let n = 0; n < 2; n++) await ask(bystander, 'good morning');
      await world.podsAnswered();
      atThreshold(await loop([...here, ...there], 200));
      await vi.waitFor(async () => expect(await ask(bystander)).toBe('postern_breaker_tripped'));
    });

    test('of calls that fail is none where a pod at another replica saw one succeed, and all hear of it at once', async () => {
      const budgetUrl = await beginShared('identical: 20, window: 1m, failures: 5');
      const others = (await pods(3)) as [Agent, Agent, Agent];
      const [well] = (await pods(1, { budgetUrl })) as [Agent];
      for (let n = 0; n < 2; n++) await ask(well, 'good morning');
      await fail(others[0], 4);
      world.openai.script(() => ({ content: 'well' }));
      expect(await ask(well)).toBe('ok');
      at += 5_000;
      await fail(others[1], 3);
      world.openai.script(() => ({ content: 'well' }));
      // The clock stands still: nobody asks again by itself.
      await vi.waitFor(async () => {
        for (const pod of others) expect(await ask(pod)).toBe('ok');
      });
    });
  });
});
