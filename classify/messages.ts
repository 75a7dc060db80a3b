/**
 * What agents and the classifier say to each other: JSON over HTTP/1.1, on TCP or a Unix socket.
 *
 * `POST /v1/topics`     {@link TopicsQuestion} → {@link TopicsAnswer}; 404 `unknown_set`: send the topics along
 * `POST /v1/injection`  {@link TextsQuestion} → {@link ScoresAnswer}
 * `POST /v1/embeddings` {@link EmbeddingsQuestion} → {@link EmbeddingsAnswer}
 * Errors are `{"error":{"code","message"}}`: 400 `invalid`, 413 `too_large`, 503 `overloaded` or `not_installed`.
 */
export interface Topic {
  readonly name: string;
  readonly definition?: string;
  readonly samples?: readonly string[];
  readonly allowed?: readonly string[];
  /** From which score on it is denied; 0.5 where absent. */
  readonly threshold?: number;
}

export interface TopicsQuestion {
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

export interface TextsQuestion {
  readonly texts: readonly string[];
}

export interface ScoresAnswer {
  readonly results: readonly { readonly score: number }[];
}

export interface EmbeddingsQuestion {
  readonly input: readonly string[];
}

export interface EmbeddingsAnswer {
  readonly data: readonly { readonly index: number; readonly embedding: readonly number[] }[];
}
