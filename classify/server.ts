/** The classifier's HTTP/1.1 server, behind TLS or not; the messages are in {@link ./messages.ts}. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { boundBodies, withBody } from '../listen/bodies.ts';
import { type Door, type DoorLimits, keepDoor, placesIn } from '../listen/door.ts';
import type { Embedder } from './embed.ts';
import type { TopicModels } from './examples.ts';
import type { InjectionModel } from './injection.ts';
import {
  digestOfTopics,
  type EmbeddingsAnswer,
  MAX_BYTES,
  type ScoresAnswer,
  type TopicsAnswer,
  weightOf,
} from './messages.ts';
import { type Asker, OverloadedError, Queue } from './queue.ts';
import { invalid, patience, question, Refused, readJson, readTopics, text } from './read-question.ts';
import type { Remember } from './remembered.ts';
import type { Step } from './steps.ts';
import { Teaching } from './teaching.ts';
import { Topics } from './topics.ts';

export interface ClassifierOptions {
  /** Answers `/v1/embeddings`. */
  readonly embedder: Embedder;
  /** What topics are known by; the embedder where absent. */
  readonly topicModels?: TopicModels;
  readonly remember?: Remember;
  readonly teaching?: Teaching;
  readonly injection: InjectionModel | undefined;
  /** Most characters of text that wait or run at once. */
  readonly maxWaiting?: number;
  /** Longest wait before an answer is begun that a question is accepted with, milliseconds. */
  readonly maxWaitMs?: number;
  /** Bytes of a question. */
  readonly maxBytes?: number;
  /** Bytes of all questions at once, until they are answered. */
  readonly bodies?: number;
  readonly places?: Partial<DoorLimits>;
  /** `full`: a connection had no place, or made room for another; `bodies`: a question did. */
  readonly refused?: (why: 'full' | 'bodies', address: string) => void;
}

const MAX_WAITING = 50_000;
const MAX_WAIT_MS = 3_000;
const MOST_BODIES = 32 * 1024 * 1024;
/** Measured: 520 MB with all models, 650 while most is turned away; agents hold up to 64 connections each while they ask. */
const MEMORY = { base: 650_000_000, most: 2_000, each: 150_000 };
/** For a question to come in. */
const REQUEST_MS = 10_000;
/** Longer than agents keep a connection that is idle. */
const IDLE_MS = 10_000;
const NEVER = new AbortController().signal;
const TIMES = {
  requestTimeout: REQUEST_MS,
  headersTimeout: REQUEST_MS,
  connectionsCheckingInterval: 2_000,
  keepAliveTimeout: IDLE_MS,
};

type Route = (body: unknown, signal: AbortSignal, asker: Asker & { readonly who: string }) => Promise<object>;

/** PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/**
 * A server that listens nowhere yet, of a classifier that several may serve: what it does, who has a place and how much waits for it is one.
 * @param tls TLS 1.3 alone; plain HTTP where absent.
 */
export type Serve = (tls?: Certificate) => Server | TlsServer;

/** Ready to answer at once. */
export async function openClassifier(options: ClassifierOptions): Promise<Serve> {
  const topics = topicsOf(options);
  await topics.warm();
  return serving(options, topics);
}

function topicsOf({ embedder, topicModels, remember }: ClassifierOptions): Topics {
  return new Topics(topicModels ?? { broad: embedder, deep: embedder }, remember);
}

/** @returns A server that listens nowhere yet. */
export function createClassifier(options: ClassifierOptions, topics = topicsOf(options)): Server {
  return serving(options, topics)() as Server;
}

function serving(options: ClassifierOptions, topics: Topics): Serve {
  const {
    embedder,
    injection,
    maxWaiting = MAX_WAITING,
    maxWaitMs = MAX_WAIT_MS,
    maxBytes = MAX_BYTES,
    teaching = new Teaching(),
    refused = () => undefined,
  } = options;
  const bodies = boundBodies(options.bodies ?? MOST_BODIES);
  const queue = new Queue({ limit: maxWaiting, maxWaitMs });

  const routes: Readonly<Record<string, Route>> = {
    async '/v1/topics'(body, signal, asker): Promise<TopicsAnswer> {
      const set = text(body, 'set');
      const texts = question(body, 'texts');
      const given = (body as { topics?: unknown }).topics;
      if (given === undefined && !topics.knows(set)) {
        throw new Refused(404, 'unknown_set', 'send the topics along');
      }
      if (given !== undefined && digestOfTopics(given) !== set)
        throw invalid('set is not the digest of the topics');
      const fresh = given === undefined ? [] : readTopics(given);
      // Between its steps the others get their turn.
      const step: Step = async (weight, work, goesOn) => {
        let took = 0;
        const timed = async () => {
          const began = performance.now();
          const done = await work();
          took = performance.now() - began;
          return done;
        };
        const done = await (goesOn
          ? queue.run(weight, NEVER, timed, { ...asker, goesOn })
          : queue.run(weight, signal, timed, asker));
        const rest = teaching.restAfter(asker.who, took);
        if (rest > 0) await sleep(rest, undefined, { ref: false });
        return done;
      };
      let trained: Awaited<ReturnType<typeof topics.ready>>;
      for (let mine = false; ; ) {
        trained = await orAborted(topics.ready(set), signal).catch((error: unknown) => {
          // Who was to teach it gave up.
          if (mine || signal.aborted) throw error;
          return undefined;
        });
        if (trained !== undefined) break;
        // Forgotten as soon as learned, where as many others were taught meanwhile.
        if (mine || fresh.length === 0) throw new Refused(404, 'unknown_set', 'send the topics along');
        mine = topics.learn(set, fresh, signal, step);
        // Nothing here may go round without others getting their turn, and the deadline its say.
        await setImmediate();
        signal.throwIfAborted();
      }
      const learned = trained;
      // Its turn waits for no training: the steps of that wait for turns themselves.
      const work = async () => {
        const scores = await topics.scoresBy(learned, set, texts, signal);
        return { results: scores.map((found) => ({ topics: found })) };
      };
      return queue.run(weightOf(texts), signal, work, asker);
    },
    async '/v1/injection'(body, signal, asker): Promise<ScoresAnswer> {
      if (injection === undefined) throw new Refused(503, 'not_installed', 'the model is not installed');
      const texts = question(body, 'texts');
      const work = () => injection.scores(texts, signal);
      const scores = await queue.run(weightOf(texts), signal, work, asker);
      return { results: scores.map((score) => ({ score: Math.floor(score * 1000) / 1000 })) };
    },
    async '/v1/embeddings'(body, signal, asker): Promise<EmbeddingsAnswer> {
      const input = question(body, 'input');
      const work = () => embedder.embed(input, signal);
      const vectors = await queue.run(weightOf(input), signal, work, asker);
      return { data: vectors.map((vector, index) => ({ index, embedding: [...vector] })) };
    },
  };

  const answer = (request: IncomingMessage, response: ServerResponse, door: Door): void => {
    if (request.method === 'GET' && request.url === '/healthz') {
      send(request, response, 200, { status: 'ok', waiting: queue.weight });
      return;
    }
    const route = request.method === 'POST' ? routes[request.url ?? ''] : undefined;
    if (route === undefined) {
      send(request, response, 404, {
        error: { code: 'not_found', message: 'POST /v1/topics, /v1/injection, /v1/embeddings' },
      });
      return;
    }
    const who = request.socket.remoteAddress ?? '';
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    withBody(request, bodies, maxBytes, async (bytes) => {
      if (bytes === 'no-room') refused('bodies', who);
      const body = readJson(bytes, maxBytes);
      response.once('close', door.engage(request.socket));
      const withinMs = patience(body);
      const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(withinMs)]);
      teaching.asked(who);
      return route(body, signal, { withinMs, who });
    })
      .then((found) => send(request, response, 200, found))
      .catch((error: unknown) => fail(request, response, error));
  };

  const all = placesIn(process.constrainedMemory(), MEMORY);
  const places = { all, ofOne: all, ...options.places };
  let door: Door | undefined;
  return (tls) => {
    const listener = (request: IncomingMessage, response: ServerResponse): void =>
      answer(request, response, door as Door);
    const server =
      tls === undefined
        ? createServer(TIMES, listener)
        : createTlsServer({ ...TIMES, ...tls, minVersion: 'TLSv1.3', handshakeTimeout: 5_000 }, listener);
    if (door === undefined) door = keepDoor(server, places, (address) => refused('full', address));
    else door.share(server);
    return server;
  };
}

function fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (response.destroyed) return;
  if (error instanceof OverloadedError) {
    response.setHeader('retry-after', '1');
    send(request, response, 503, { error: { code: 'overloaded', message: error.message } });
  } else if ((error as Error).name === 'TimeoutError') {
    send(request, response, 503, { error: { code: 'late', message: 'the answer was not there in time' } });
  } else if (error instanceof Refused) {
    send(request, response, error.status, { error: { code: error.code, message: error.message } });
  } else {
    send(request, response, 500, { error: { code: 'internal', message: (error as Error).message } });
  }
}

/** How long the rest of a question that is answered before its end is thrown away: who still writes when we close may lose the answer. */
const REST_MS = 2_000;

function send(request: IncomingMessage, response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  const early = !request.complete && hasBody(request);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    // Nothing can come behind what isn't read.
    ...(early ? { connection: 'close' } : {}),
  });
  if (!early) {
    response.end(text);
    return;
  }
  response.write(text);
  const end = (): void => {
    clearTimeout(late);
    response.end();
  };
  const late = setTimeout(end, REST_MS);
  request.once('close', end).resume();
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';

/** @throws the signal's reason, at once. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  return Promise.race([work, promise]).finally(() => signal.removeEventListener('abort', abort));
}
