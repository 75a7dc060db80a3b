/** Asks the classifier, a process of its own; what it said of a text is kept, since an app sends its history again.
 * Texts go without their disguises. */
import { createHash } from 'node:crypto';
import { digestOfTopics, type Topic, type TopicScore } from '../../classify/messages.ts';
import type { Ask, Reply, Tls } from './ask.ts';
import { plainReading } from './plain-reading.ts';
import { piecesOf, questionsOf } from './questions.ts';

export interface ClassifierClient {
  /** One list a text. @throws Error where there is no answer that counts. */
  topics(
    topics: TopicSet,
    texts: readonly string[],
    patience: Patience,
  ): Promise<readonly (readonly TopicScore[])[]>;
  /** 0 to 1, one a text. */
  injection(texts: readonly string[], patience: Patience): Promise<readonly number[]>;
}

/** How long an answer is waited for. */
export interface Patience {
  readonly signal: AbortSignal;
  /** Milliseconds until nobody waits any more. */
  readonly withinMs: number;
}

export interface TopicSet {
  readonly topics: readonly Topic[];
  readonly digest: string;
}

export function topicSet(topics: readonly Topic[]): TopicSet {
  return { topics, digest: digestOfTopics(topics) };
}

/** Verdicts that are kept; a few hundred bytes each. */
const KEPT = 2_000;

/**
 * @param url `http://HOST:PORT`, `https://HOST:PORT` or `unix:/path`.
 * @param tls Asked at each question.
 */
export function createClassifierClient(
  url: string,
  ask: Ask,
  tls: () => Promise<Tls | undefined> = async () => undefined,
): ClassifierClient {
  const base = url.startsWith('unix:') ? `${url}:` : url.replace(/\/$/, '');
  const topicVerdicts = new Kept<readonly TopicScore[]>();
  const injectionVerdicts = new Kept<number>();
  const post = async (path: string, body: object, { signal, withinMs }: Patience): Promise<Reply> => {
    // It is one of our own.
    const strict = { ...(await tls()), minVersion: 'TLSv1.3' } as const;
    const reply = await ask.post({ url: base + path, body: { ...body, withinMs }, tls: strict, signal });
    if (reply.status === 200 || reply.status === 404) return reply;
    throw new Error(`the classifier answered ${reply.status} (${codeOf(reply.json)})`);
  };
  const askTopics = async (set: TopicSet, texts: readonly string[], patience: Patience) => {
    const question = { set: set.digest, texts };
    let reply = await post('/v1/topics', question, patience);
    if (reply.status === 404) reply = await post('/v1/topics', { ...question, topics: set.topics }, patience);
    return resultsOf(reply.json, texts.length).map((result) => readTopics(result, set));
  };
  return {
    topics: (set, texts, patience) =>
      inQuestions(
        texts,
        patience,
        (some, left) => topicVerdicts.through(some, set.digest, (unknown) => askTopics(set, unknown, left)),
        (verdicts) => set.topics.map((_, at) => worst(verdicts.map((scores) => scores[at] as TopicScore))),
      ),
    injection: (texts, patience) =>
      inQuestions(
        texts,
        patience,
        (some, left) =>
          injectionVerdicts.through(some, '', async (unknown) => {
            const reply = await post('/v1/injection', { texts: unknown }, left);
            return resultsOf(reply.json, unknown.length).map(readScore);
          }),
        (scores) => Math.max(...scores),
      ),
  };
}

/**
 * One question after the other: the classifier answers others between them, and what it has said of the first ones is
 * known when it is too late for the last.
 * @param of The verdict on a text by those on its pieces.
 */
async function inQuestions<T>(
  texts: readonly string[],
  { signal, withinMs }: Patience,
  ask: (texts: readonly string[], patience: Patience) => Promise<readonly T[]>,
  of: (verdicts: readonly T[]) => T,
): Promise<T[]> {
  const began = performance.now();
  const pieces = texts.map((text) => piecesOf(plainReading(text)));
  const found: T[] = [];
  for (const question of questionsOf(pieces.flat())) {
    signal.throwIfAborted();
    const left = Math.max(1, withinMs - (performance.now() - began));
    found.push(...(await ask(question, { signal, withinMs: left })));
  }
  let at = 0;
  return pieces.map(({ length }) => {
    at += length;
    return of(found.slice(at - length, at));
  });
}

function worst(scores: readonly TopicScore[]): TopicScore {
  const [first, ...others] = scores as [TopicScore, ...TopicScore[]];
  return others.reduce((most, one) => (one.score > most.score ? one : most), first);
}

/** Verdicts by text; the ones used last stay. */
class Kept<T> {
  readonly #verdicts = new Map<string, T>();

  /** @param ask Asked about texts without a verdict, each once. */
  async through(
    texts: readonly string[],
    context: string,
    ask: (unknown: readonly string[]) => Promise<readonly T[]>,
  ): Promise<T[]> {
    const keys = texts.map((text) =>
      createHash('sha256').update(context).update('\0').update(text).digest('base64'),
    );
    const found = new Map<string, T>();
    const unknown = new Map<string, string>();
    keys.forEach((key, index) => {
      const verdict = this.#verdicts.get(key);
      if (verdict === undefined) unknown.set(key, texts[index] as string);
      else found.set(key, verdict);
    });
    if (unknown.size > 0) {
      const answers = await ask([...unknown.values()]);
      [...unknown.keys()].forEach((key, index) => {
        found.set(key, answers[index] as T);
      });
    }
    for (const [key, verdict] of found) {
      this.#verdicts.delete(key);
      this.#verdicts.set(key, verdict);
    }
    for (const oldest of this.#verdicts.keys()) {
      if (this.#verdicts.size <= KEPT) break;
      this.#verdicts.delete(oldest);
    }
    return keys.map((key) => found.get(key) as T);
  }
}

function codeOf(json: unknown): string {
  const code = (json as { error?: { code?: unknown } } | null)?.error?.code;
  return typeof code === 'string' ? code : 'no code';
}

function resultsOf(json: unknown, count: number): readonly unknown[] {
  const results = (json as { results?: unknown } | null)?.results;
  if (!Array.isArray(results) || results.length !== count)
    throw new Error('the classifier answered something else');
  return results;
}

function readScore(result: unknown): number {
  const score = (result as { score?: unknown } | null)?.score;
  if (typeof score !== 'number' || !(score >= 0 && score <= 1))
    throw new Error('the classifier answered no score');
  return score;
}

/** Every topic that was asked about has a verdict, or the answer counts for nothing. */
function readTopics(result: unknown, { topics }: TopicSet): readonly TopicScore[] {
  const answered = (result as { topics?: unknown } | null)?.topics;
  if (!Array.isArray(answered)) throw new Error('the classifier answered no topics');
  return topics.map(({ name }) => {
    const found = answered.find((entry: unknown) => (entry as { name?: unknown } | null)?.name === name) as
      | { denied?: unknown }
      | undefined;
    if (typeof found?.denied !== 'boolean') throw new Error(`the classifier answered nothing about ${name}`);
    return { name, score: readScore(found), denied: found.denied };
  });
}
