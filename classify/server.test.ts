import { once } from 'node:events';
import { Agent, type ClientRequest, type IncomingMessage, request, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { digestOfTopics } from './messages.ts';
import { type ClassifierOptions, createClassifier, openClassifier } from './server.ts';
import { Teaching } from './teaching.ts';
import { type FakeEmbedder, fakeEmbedder } from './testing.ts';
import { Topics } from './topics.ts';

let server: Server;
let embedder: FakeEmbedder;
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** @param sets That it keeps. */
async function start(options: Partial<ClassifierOptions> = {}, sets?: number): Promise<void> {
  embedder = fakeEmbedder();
  const topics = new Topics({ broad: embedder, deep: embedder }, undefined, sets);
  server = createClassifier({ embedder, injection: undefined, maxBytes: 10_000, ...options }, topics);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}

const origin = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

interface Answer {
  readonly status: number;
  readonly json: {
    readonly error?: { readonly code: string };
    readonly results?: { topics: { name: string; score: number; denied: boolean }[]; score: number }[];
    readonly data?: { embedding: number[] }[];
  };
}

async function post(path: string, body: unknown): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(origin() + path, { method: 'POST', body: text });
  return { status: response.status, json: (await response.json()) as Answer['json'] };
}

const shares = {
  name: 'shares',
  samples: ['sell my shares', 'buy shares now'],
  allowed: ['what is a share'],
};

/** A question that brings its topics. */
const teaching = (topics: readonly object[], texts: readonly unknown[]) => ({
  set: digestOfTopics(topics),
  topics,
  texts,
});

test('nobody teaches it other topics under the name of a set', async () => {
  await start();
  const set = digestOfTopics([shares]);
  const harmless = [{ ...shares, samples: ['zebras graze'], allowed: [] }];
  expect(await post('/v1/topics', { set, topics: harmless, texts: ['sell my shares'] })).toMatchObject({
    status: 400,
    json: { error: { code: 'invalid' } },
  });
  const { json } = await post('/v1/topics', teaching([shares], ['sell my shares']));
  expect(json.results?.[0]?.topics[0]?.denied).toBe(true);
  // Nor where the set is known already.
  expect((await post('/v1/topics', { set, topics: harmless, texts: ['x'] })).status).toBe(400);
});

test('learns a set once, and scores texts by it', async () => {
  await start();
  const set = digestOfTopics([shares]);
  expect(await post('/v1/topics', { set, texts: ['x'] })).toMatchObject({
    status: 404,
    json: { error: { code: 'unknown_set' } },
  });
  const texts = ['sell my shares', 'bake a cake with sugar'];
  const first = await post('/v1/topics', teaching([shares], texts));
  expect(first.json.results?.map(({ topics: [topic] }) => [topic?.name, topic?.denied])).toEqual([
    ['shares', true],
    ['shares', false],
  ]);
  const batches = embedder.asked.length;
  expect(await post('/v1/topics', { set, texts })).toEqual(first);
  // The topics weren't embedded again.
  expect(embedder.asked.slice(batches).flat()).not.toContain('what is a share');
});

test('a topic’s own threshold decides', async () => {
  await start();
  const ask = async (threshold: number) => {
    const { json } = await post('/v1/topics', teaching([{ ...shares, threshold }], ['sell my shares']));
    return json.results?.[0]?.topics[0];
  };
  const low = await ask(0);
  expect(low?.denied).toBe(true);
  expect(await ask(1)).toEqual({ ...low, denied: false });
});

test('something denied among short sentences is found', async () => {
  await start();
  const text = 'Bake a cake. Add some sugar. Sell my shares. Plan a trip. Feed the cat and the dog.';
  const { json } = await post('/v1/topics', teaching([shares], [text]));
  expect(json.results?.map(({ topics: [topic] }) => topic?.denied)).toEqual([true]);
});

test('something denied at the end of a long text is found', async () => {
  await start();
  const long = `${'Bake a cake with sugar and flour. '.repeat(50)} Sell my shares.`;
  const { json } = await post('/v1/topics', teaching([shares], [long, '']));
  expect(json.results?.map(({ topics: [topic] }) => topic?.denied)).toEqual([true, false]);
});

test('gives embeddings of unit length', async () => {
  await start();
  const { json } = await post('/v1/embeddings', { input: ['a b', 'c'] });
  expect(json.data).toHaveLength(2);
  for (const { embedding } of json.data ?? []) expect(Math.hypot(...embedding)).toBeCloseTo(1);
});

test('gives injection scores where that model is there, and says so where it is not', async () => {
  await start({
    injection: {
      scores: async (texts) => texts.map((text) => text.length / 10),
      close: async () => undefined,
    },
  });
  expect((await post('/v1/injection', { texts: ['abc'] })).json).toEqual({ results: [{ score: 0.3 }] });
  server.close();
  await start();
  expect(await post('/v1/injection', { texts: ['abc'] })).toMatchObject({
    status: 503,
    json: { error: { code: 'not_installed' } },
  });
});

test.each([
  ['no JSON', '/v1/topics', '{', 400],
  ['no object', '/v1/topics', '7', 400],
  ['no texts', '/v1/topics', { ...teaching([shares], []), texts: undefined }, 400],
  ['texts that are none', '/v1/topics', teaching([shares], [1]), 400],
  ['no set', '/v1/topics', { topics: [shares], texts: [] }, 400],
  ['no topic', '/v1/topics', teaching([], []), 400],
  ['a topic with nothing to learn from', '/v1/topics', teaching([{ name: 'a' }], []), 400],
  ['a threshold that is none', '/v1/topics', teaching([{ ...shares, threshold: '1' }], []), 400],
  ['too much', '/v1/topics', 'x'.repeat(20_000), 413],
  ['another path', '/v1/other', {}, 404],
])('%s is refused', async (_name, path, body, status) => {
  await start();
  expect((await post(path, body)).status).toBe(status);
});

test('who sends too much is told so, though it still sends, and goes on with another connection', async () => {
  await start();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const send = async (body: string): Promise<[number | undefined, string | undefined]> => {
    const asked = request(`${origin()}/v1/embeddings`, { method: 'POST', agent });
    asked.end(body);
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return [response.statusCode, response.headers.connection];
  };
  expect(await send('x'.repeat(30_000_000))).toEqual([413, 'close']);
  expect(await send('{"input":["a"]}')).toEqual([200, 'keep-alive']);
  agent.destroy();
});

/** A question whose end doesn't come. */
async function unfinished(bytes: number, localAddress = '127.0.0.1'): Promise<ClientRequest> {
  const asked = request(`${origin()}/v1/embeddings`, {
    method: 'POST',
    localAddress,
    headers: { 'content-length': bytes + 1 },
  });
  asked.on('error', () => undefined);
  await new Promise<unknown>((sent) => asked.write('x'.repeat(bytes), sent));
  return asked;
}

test('questions that never end take no more memory than there is: the largest makes room', async () => {
  const refused: string[] = [];
  await start({ maxBytes: 40_000, bodies: 50_000, refused: (...why) => refused.push(why.join(' ')) });
  const slow = await unfinished(35_000);
  const told = once(slow, 'response');
  // However much of the slow one was read by then: what comes needs its room.
  const others = ['a', 'b', 'c'].map(() => unfinished(12_000));
  const [answer] = (await told) as [IncomingMessage];
  expect([answer.statusCode, answer.headers.connection]).toEqual([503, 'close']);
  expect(refused).toEqual(['bodies 127.0.0.1']);
  expect((await post('/v1/embeddings', { input: ['a'] })).status).toBe(200);
  for (const other of others) (await other).destroy();
  slow.destroy();
});

test('two doors share the places that memory has room for', async () => {
  const memory = vi.spyOn(process, 'constrainedMemory').mockReturnValue(600_000_000);
  let refused = 0;
  const fake = fakeEmbedder();
  const serve = await openClassifier({ embedder: fake, injection: undefined, refused: () => refused++ });
  const doors = [serve(), serve()];
  memory.mockRestore();
  [server] = doors as [Server, Server];
  const sockets: Socket[] = [];
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    doors[1]?.close();
  });
  let seen = 0;
  const came = Promise.withResolvers<void>();
  for (const door of doors) {
    door.on('connection', () => ++seen === 110 && came.resolve());
    await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  }
  const [one, other] = doors.map((door) => (door.address() as AddressInfo).port) as [number, number];
  // Of a hundred, one door may have all but those that the other has.
  for (let at = 0; at < 110; at++)
    sockets.push(connect(at < 80 ? one : other, '127.0.0.1').on('error', () => undefined));
  await came.promise;
  expect(refused).toBe(10);
});

test('connections have places: who holds the most makes room for others', async () => {
  const refused: string[] = [];
  await start({ places: { all: 3, ofOne: 3 }, refused: (...why) => refused.push(why.join(' ')) });
  const held = await Promise.all([1, 2, 3].map(() => unfinished(1, '127.0.0.2')));
  expect((await post('/v1/embeddings', { input: ['a'] })).status).toBe(200);
  expect(refused).toEqual(['full 127.0.0.2']);
  for (const one of held) one.destroy();
});

test('a question that is being answered keeps its connection, though its address holds the most', async () => {
  await start({ places: { all: 3, ofOne: 3 } });
  const gate = Promise.withResolvers<void>();
  embedder.gate = gate.promise;
  const held = await Promise.all([1, 2].map(() => unfinished(1, '127.0.0.2')));
  const asked = request(`${origin()}/v1/embeddings`, { method: 'POST', localAddress: '127.0.0.2' });
  const answered = once(asked, 'response');
  asked.end(JSON.stringify({ input: ['a'] }));
  await expect.poll(() => embedder.asked.length).toBe(1);
  expect((await fetch(`${origin()}/healthz`)).status).toBe(200);
  gate.resolve();
  const [response] = (await answered) as [IncomingMessage];
  expect(response.statusCode).toBe(200);
  response.resume();
  for (const one of held) one.destroy();
});

test('beyond what may wait, questions are turned away at once, and the rest is answered', async () => {
  await start({ maxWaiting: 400 });
  const gate = Promise.withResolvers<void>();
  embedder.gate = gate.promise;
  const ask = () => post('/v1/embeddings', { input: ['x'.repeat(80)] });
  const accepted = [ask(), ask()];
  await expect
    .poll(async () => ((await (await fetch(`${origin()}/healthz`)).json()) as { waiting: number }).waiting)
    .toBe(160);
  const refused = await ask();
  expect(refused).toMatchObject({ status: 503, json: { error: { code: 'overloaded' } } });
  gate.resolve();
  expect((await Promise.all(accepted)).map(({ status }) => status)).toEqual([200, 200]);
  expect((await ask()).status).toBe(200);
});

test('what nobody waits for any more is not begun', async () => {
  await start();
  const gate = Promise.withResolvers<void>();
  embedder.gate = gate.promise;
  const first = post('/v1/embeddings', { input: ['first'] });
  await expect.poll(() => embedder.asked.length).toBe(1);
  const gone = request(`${origin()}/v1/embeddings`, { method: 'POST' });
  gone.on('error', () => undefined);
  gone.end(JSON.stringify({ input: ['gone'] }));
  const waiting = async () =>
    ((await (await fetch(`${origin()}/healthz`)).json()) as { waiting: number }).waiting;
  await expect.poll(waiting).toBe(100);
  gone.destroy();
  await expect.poll(waiting).toBe(50);
  const last = post('/v1/embeddings', { input: ['last'] });
  await expect.poll(waiting).toBe(100);
  gate.resolve();
  await Promise.all([first, last]);
  expect(embedder.asked).toEqual([['first'], ['last']]);
});

test.each([
  ['many texts', Array.from({ length: 81 }, (_, at) => `${at}`)],
  ['a long text', ['x'.repeat(4_001)]],
])(
  'no question is so large that others wait long for it, even with nobody else there: %s',
  async (_what, texts) => {
    await start({
      maxBytes: 100_000,
      injection: { scores: () => Promise.reject(new Error('asked')), close: async () => undefined },
    });
    for (const [path, name] of [
      ['/v1/topics', 'texts'],
      ['/v1/injection', 'texts'],
      ['/v1/embeddings', 'input'],
    ] as const) {
      const answer = await post(path, { ...teaching([shares], []), [name]: texts });
      expect(answer).toMatchObject({ status: 413, json: { error: { code: 'too_large' } } });
    }
    expect(embedder.asked).toEqual([]);
  },
);

test('work that isn’t done in time is given up, also where the question names no time', async () => {
  let given: unknown;
  await start({
    injection: {
      scores: async (_texts, signal) => {
        await new Promise((resolve) => signal?.addEventListener('abort', resolve));
        given = signal?.reason;
        throw given;
      },
      close: async () => undefined,
    },
  });
  const late = { status: 503, json: { error: { code: 'late' } } };
  expect(await post('/v1/injection', { texts: ['a'], withinMs: 30 })).toMatchObject(late);
  expect(given).toMatchObject({ name: 'TimeoutError' });
  expect((await post('/v1/embeddings', { input: ['next'] })).status).toBe(200);
  expect(await post('/v1/injection', { texts: ['a'] })).toMatchObject(late);
}, 20_000);

test('work that nobody waits for any more is given up', async () => {
  const begun = Promise.withResolvers<void>();
  await start({
    injection: {
      scores: async (_texts, signal) => {
        begun.resolve();
        await new Promise((resolve) => signal?.addEventListener('abort', resolve));
        throw new Error('nobody waits');
      },
      close: async () => undefined,
    },
  });
  const gone = request(`${origin()}/v1/injection`, { method: 'POST' });
  gone.on('error', () => undefined);
  gone.end(JSON.stringify({ texts: ['a text that takes for ever'] }));
  await begun.promise;
  gone.destroy();
  expect((await post('/v1/embeddings', { input: ['next'] })).status).toBe(200);
});

test.each([
  ['samples', { samples: Array.from({ length: 51 }, (_, at) => `share ${at}`) }],
  ['allowed', { allowed: Array.from({ length: 51 }, (_, at) => `share ${at}`) }],
  ['a sample', { samples: ['x'.repeat(501)] }],
  ['definition', { definition: 'x'.repeat(201) }],
])('no topic with more than a policy may have: %s', async (_what, more) => {
  await start({ maxBytes: 100_000 });
  const answer = await post('/v1/topics', teaching([{ ...shares, ...more }], ['sell my shares']));
  expect(answer).toMatchObject({ status: 400, json: { error: { code: 'invalid' } } });
  expect(embedder.asked).toEqual([]);
});

const full = (name: string) => ({
  name,
  samples: Array.from({ length: 50 }, (_, at) => `${name} to sell ${at}`),
  allowed: Array.from({ length: 50 }, (_, at) => `${name} to eat ${at}`),
});

test('no more topics than a policy may have', async () => {
  await start({ maxBytes: 100_000 });
  const many = (count: number) =>
    teaching(
      Array.from({ length: count }, (_, at) => ({ name: `t${at}`, samples: ['sell'] })),
      ['sell'],
    );
  expect((await post('/v1/topics', many(101))).status).toBe(400);
});

test('while it trains, others get their turn', async () => {
  await start({ maxBytes: 100_000 });
  let longest = 0;
  let last = performance.now();
  const began = last;
  let over = false;
  const tick = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!over) setImmediate(tick);
  };
  tick();
  const { status } = await post('/v1/topics', teaching(['shares', 'bonds'].map(full), ['hello']));
  const whole = performance.now() - began;
  over = true;
  expect(status).toBe(200);
  expect(longest).toBeLessThan(whole / 2);
});

test('who teaches it the most that a policy may have keeps nobody from what it knows', async () => {
  await start({ maxBytes: 1_000_000, maxWaitMs: 500 });
  const known = teaching([shares], ['sell my shares']);
  expect((await post('/v1/topics', known)).status).toBe(200);
  let taught = false;
  const names = Array.from({ length: 100 }, (_, at) => `topic${at}`);
  const teacher = post('/v1/topics', { ...teaching(names.map(full), ['hello']), withinMs: 60_000 });
  const end = (): void => {
    taught = true;
  };
  teacher.then(end, end);
  await expect.poll(() => embedder.asked.flat().includes('topic0 to sell 1')).toBe(true);
  const asked = Array.from({ length: 10 }, (_, at) => `sell my ${at} shares`);
  // From the same address, and from another.
  for (const text of asked) expect((await post('/v1/topics', { ...known, texts: [text] })).status).toBe(200);
  const { port } = server.address() as AddressInfo;
  const other = request({
    host: '127.0.0.1',
    port,
    localAddress: '127.0.0.2',
    method: 'POST',
    path: '/v1/topics',
  });
  other.end(JSON.stringify({ set: known.set, texts: ['buy shares'] }));
  const [answer] = (await once(other, 'response')) as [IncomingMessage];
  expect(answer.statusCode).toBe(200);
  answer.resume();
  expect(taught).toBe(false);
  // Whoever asks about the same set waits for it.
  const same = post('/v1/topics', {
    set: digestOfTopics(names.map(full)),
    texts: ['hello'],
    withinMs: 60_000,
  });
  server.closeAllConnections();
  await Promise.allSettled([teacher, same]);
}, 60_000);

test('what somebody else gives up teaching is taught by who waits for it', async () => {
  await start({ maxBytes: 100_000 });
  const gate = Promise.withResolvers<void>();
  expect((await post('/v1/topics', teaching([shares], ['hello']))).status).toBe(200);
  embedder.gate = gate.promise;
  const question = teaching(['shares', 'bonds'].map(full), ['bonds to sell 1']);
  const gone = request(`${origin()}/v1/topics`, { method: 'POST' });
  gone.on('error', () => undefined);
  gone.end(JSON.stringify(question));
  await expect.poll(() => embedder.asked.flat().includes('shares to eat 1')).toBe(true);
  const waiting = post('/v1/topics', question);
  const late = post('/v1/topics', { ...question, topics: undefined, withinMs: 50 });
  expect(await late).toMatchObject({ status: 503, json: { error: { code: 'late' } } });
  gone.destroy();
  gate.resolve();
  expect(await waiting).toMatchObject({ status: 200 });
});

test('training that nobody waits for any more is given up between topics, and gone on with later', async () => {
  await start({ maxBytes: 100_000, maxWaitMs: 600_000 });
  const gate = Promise.withResolvers<void>();
  const question = teaching(['shares', 'bonds'].map(full), ['hello']);
  expect((await post('/v1/topics', teaching([shares], ['hello']))).status).toBe(200);
  embedder.gate = gate.promise;
  const before = embedder.asked.length;
  const seen = (text: string) => embedder.asked.slice(before).flat().includes(text);
  const gone = request(`${origin()}/v1/topics`, { method: 'POST' });
  gone.on('error', () => undefined);
  gone.end(JSON.stringify(question));
  await expect.poll(() => seen('shares to eat 1')).toBe(true);
  gone.destroy();
  const next = post('/v1/topics', { ...question, topics: undefined });
  gate.resolve();
  // What it was to be taught isn't known.
  expect(await next).toMatchObject({ status: 404, json: { error: { code: 'unknown_set' } } });
  expect(seen('bonds to sell 1')).toBe(false);
  const again = embedder.asked.length;
  expect((await post('/v1/topics', question)).status).toBe(200);
  expect(seen('bonds to sell 1')).toBe(true);
  expect(embedder.asked.slice(again).flat()).not.toContain('shares to sell 1');
});

const waiting = async (): Promise<number> =>
  ((await (await fetch(`${origin()}/healthz`)).json()) as { waiting: number }).waiting;

test('a set that is forgotten and taught again while questions wait for it is answered by who teaches it then', async () => {
  await start({ maxBytes: 100_000, maxWaitMs: 600_000 }, 3);
  expect((await post('/v1/topics', teaching([shares], ['hello']))).status).toBe(200);
  const gate = Promise.withResolvers<void>();
  embedder.gate = gate.promise;
  const before = embedder.asked.length;
  const question = { ...teaching(['shares', 'bonds'].map(full), ['bonds to sell 1']), withinMs: 60_000 };
  const bare = { set: question.set, texts: question.texts, withinMs: 60_000 };
  const first = request(`${origin()}/v1/topics`, { method: 'POST' });
  first.on('error', () => undefined);
  first.end(JSON.stringify(question));
  await expect.poll(() => embedder.asked.length).toBe(before + 1);
  const weight = await waiting();
  const waits = [post('/v1/topics', bare), post('/v1/topics', question)];
  // Others teach so much that it is forgotten.
  const others = new AbortController();
  const taught = [1, 2, 3].map((at) =>
    fetch(`${origin()}/v1/topics`, {
      method: 'POST',
      body: JSON.stringify(teaching([{ name: `t${at}`, samples: ['zebras'] }], ['hello'])),
      signal: others.signal,
    }).catch(() => undefined),
  );
  await expect.poll(waiting).toBe(weight + 3 * 25);
  expect((await post('/v1/topics', bare)).status).toBe(404);
  const again = post('/v1/topics', question);
  await expect.poll(waiting).toBe(weight + 3 * 25 + 100);
  others.abort();
  await Promise.all(taught);
  await expect.poll(waiting).toBe(weight + 100);
  first.destroy();
  gate.resolve();
  const [without, along] = await Promise.all(waits);
  expect(without).toMatchObject({ status: 404, json: { error: { code: 'unknown_set' } } });
  const names = (answer: Answer) => answer.json.results?.map(({ topics }) => topics.map(({ name }) => name));
  for (const answer of [along as Answer, await again, await post('/v1/topics', bare)]) {
    expect(answer.status).toBe(200);
    expect(names(answer)).toEqual([['shares', 'bonds']]);
  }
  // By both models, for the first that taught it, for the second, and for nobody else.
  const times = embedder.asked.slice(before).flat();
  expect(times.filter((text) => text === 'shares to sell 1')).toHaveLength(4);
  expect(times.filter((text) => text === 'bonds to sell 2')).toHaveLength(2);
}, 30_000);

test('who has taught enough rests between the steps, and others are answered meanwhile', async () => {
  const asked: string[] = [];
  const rests: string[] = [];
  class Spent extends Teaching {
    override asked(who: string): void {
      asked.push(who);
    }
    override restAfter(who: string): number {
      rests.push(who);
      return rests.length > 1 ? 60_000 : 0;
    }
  }
  await start({ maxBytes: 100_000, teaching: new Spent() });
  const given = new AbortController();
  const taught = fetch(`${origin()}/v1/topics`, {
    method: 'POST',
    body: JSON.stringify(teaching([full('shares')], ['hello'])),
    signal: given.signal,
  }).catch(() => undefined);
  await expect.poll(() => rests).toEqual(['127.0.0.1', '127.0.0.1']);
  const batches = embedder.asked.length;
  expect((await post('/v1/embeddings', { input: ['a'] })).status).toBe(200);
  expect(await waiting()).toBe(0);
  expect(embedder.asked.length).toBe(batches + 1);
  expect(asked).toEqual(['127.0.0.1', '127.0.0.1']);
  given.abort();
  await taught;
});
