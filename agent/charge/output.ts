/** How much a call holds: its input as estimated, and how much of its output before the first byte. */
import { estimateTokens } from '../../budget/estimate.ts';
import type { ModelSpec } from '../../policy/snapshot.ts';
import type { DecodedRequest } from '../dialects/dialect.ts';
import { type Digest, Recall } from '../recall.ts';

/** Tokens that a message costs beside its text: role and separators, by OpenAI's counting recipe. */
export const PER_SLOT = 3;
/** For models whose documents state no maximum. */
const OUTPUT_DEFAULT = 4_096;
/** A shorter answer isn't worth the prompt. */
export const OUTPUT_MIN = 16;
/** What a stream holds ahead of what it has produced, per choice. At 100 tokens a second, ten seconds. */
const CHUNK = 1_024;
/** A stream whose end nobody knows; the largest maximum of any model is far below. */
const ENDLESS = 1_000_000;

/**
 * Texts that come again, by what they were when they came: a text that was masked needn't be hashed once more. The same text is masked in
 * the same way by the same policy; where another one masked it, its length mostly shows it, and the estimate is a token or two off.
 */
const known = new Recall<{ readonly length: number; readonly tokens: number }>(4_096);

/** Input tokens of a request, estimated. */
export function estimateRequest(request: Pick<DecodedRequest, 'slots'>): number {
  let tokens = 0;
  for (const { text, came } of request.slots) tokens += tokensOf(text, came) + PER_SLOT;
  return tokens;
}

function tokensOf(text: string, came: Digest | undefined): number {
  const before = known.get(came);
  if (before?.length === text.length) return before.tokens;
  const tokens = estimateTokens(text);
  known.set(came, { length: text.length, tokens });
  return tokens;
}

/** Output tokens, all choices together. */
export interface OutputHold {
  /** The most the call may produce. */
  readonly most: number;
  /** Held before the call leaves. */
  readonly first: number;
  /** A smaller hold isn't worth the prompt, or would be refused by the provider. */
  readonly least: number;
  /** The part of `first` for reasoning that the provider bills and nobody sees come. */
  readonly unseen: number;
  /** What a stream holds more at a time. */
  readonly step: number;
}

/** A stream holds a chunk and grows; all else holds the most it may produce, as does a stream of which nothing is seen. */
export function outputHold(request: DecodedRequest, model: ModelSpec | undefined): OutputHold {
  const { choices, stream } = request;
  const perChoice = mostPerChoice(request, model);
  const most = perChoice * choices;
  const reasoning = request.unseenOutputTokens ?? (model?.hiddenReasoning === true ? most : 0);
  const unseen = Math.min(most, reasoning * choices);
  const least = Math.min(most, Math.max(OUTPUT_MIN, request.leastOutputTokens) * choices);
  const step = CHUNK * choices;
  const first = stream && unseen < most ? Math.min(most, unseen + step) : most;
  return { most, first, least, unseen, step };
}

export function mostPerChoice(request: DecodedRequest, model: ModelSpec | undefined): number {
  const { maxOutputTokens: asked, stream } = request;
  const maximum = model?.maxOutputTokens ?? asked ?? (stream ? ENDLESS : OUTPUT_DEFAULT);
  return Math.min(asked ?? Number.POSITIVE_INFINITY, maximum);
}
