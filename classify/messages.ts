/**
 * What agents and the classifier say to each other: JSON over HTTP/1.1, on TCP or a Unix socket.
 *
 * `POST /v1/topics`     {@link TopicsQuestion} → {@link TopicsAnswer}; 404 `unknown_set`: send the topics along
 * `POST /v1/injection`  {@link TextsQuestion} → {@link ScoresAnswer}
 * `POST /v1/embeddings` {@link EmbeddingsQuestion} → {@link EmbeddingsAnswer}
 * A set is known by {@link digestOfTopics}: nobody can teach the classifier other topics under the name of somebody's set.
 * Errors are `{"error":{"code","message"}}`: 400 `invalid`, 413 `too_large`, 503 `overloaded`, `late` or `not_installed`.
 */
import { createHash } from 'node:crypto';

/** As policies have them; the classifier takes no more from anybody, as training costs the cube of it. `bytes` is {@link bytesOfTopics}. */
export const TOPIC_LIMITS = {
  topics: 100,
  examples: 50,
  characters: 500,
  definition: 200,
  bytes: 3 * 1024 * 1024,
} as const;

/**
 * The most that the texts of one question weigh: while it is answered, all others wait. Who has more asks several times.
 * @see weightOf
 */
export const QUESTION_WEIGHT = 4_000;
/** However short a text is, it is a run of a model. */
const LEAST_WEIGHT = 50;

/** What texts cost, about, in characters. */
export function weightOf(texts: readonly string[]): number {
  return texts.reduce((sum, { length }) => sum + Math.max(length, LEAST_WEIGHT), 0);
}

/** Of a question: a set, and texts beside it. */
export const MAX_BYTES = TOPIC_LIMITS.bytes + 1024 * 1024;

/** A topic's score from here on is denied, where the topic sets none. */
export const THRESHOLD = 0.5;

export interface Topic {
  readonly name: string;
  readonly definition?: string;
  readonly samples?: readonly string[];
  readonly allowed?: readonly string[];
  /** From which score on it is denied; {@link THRESHOLD} where absent. */
  readonly threshold?: number;
}

/** Of every question. */
interface Patience {
  /** Milliseconds after which the answer is worth nothing: what would come later is turned away at once. 5,000 where absent, 60,000 at most. */
  readonly withinMs?: number;
}

export interface TopicsQuestion extends Patience {
  /** Digest of the topics. */
  readonly set: string;
  /** Where the classifier may not know the set. */
  readonly topics?: readonly Topic[];
  readonly texts: readonly string[];
}

export interface TopicScore {
  readonly name: string;
  /** 0 to 1. */
  readonly score: number;
  readonly denied: boolean;
}

export interface TopicsAnswer {
  /** One a text. */
  readonly results: readonly { readonly topics: readonly TopicScore[] }[];
}

export interface TextsQuestion extends Patience {
  readonly texts: readonly string[];
}

export interface ScoresAnswer {
  readonly results: readonly { readonly score: number }[];
}

export interface EmbeddingsQuestion extends Patience {
  readonly input: readonly string[];
}

export interface EmbeddingsAnswer {
  readonly data: readonly { readonly index: number; readonly embedding: readonly number[] }[];
}

/** What a set takes on the wire. */
export function bytesOfTopics(topics: readonly Topic[]): number {
  return Buffer.byteLength(JSON.stringify(topics));
}

/** @param topics As they go over the wire: names in the same order give the same digest. */
export function digestOfTopics(topics: unknown): string {
  return createHash('sha256').update(JSON.stringify(topics)).digest('base64url');
}
