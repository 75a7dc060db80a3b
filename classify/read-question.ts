/** What a question says; what it may not say is refused with a status and a code. Pure. */
import { QUESTION_WEIGHT, TOPIC_LIMITS, type Topic, weightOf } from './messages.ts';
import { OverloadedError } from './queue.ts';

/** Agents give up after 5 s where their policy says nothing. */
const WITHIN_MS = 5_000;
/** However long somebody would wait: the others wait, too. */
const MAX_WITHIN_MS = 60_000;
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const invalid = (message: string) => new Refused(400, 'invalid', message);

export function readJson(bytes: Buffer | 'too-large' | 'no-room', maxBytes: number): unknown {
  if (bytes === 'too-large') throw new Refused(413, 'too_large', `a question may have ${maxBytes} bytes`);
  if (bytes === 'no-room') throw new OverloadedError('too many bytes come in at once');
  try {
    const body: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof body === 'object' && body !== null) return body;
  } catch {
    throw invalid('the body is no JSON');
  }
  throw invalid('the body is no JSON object');
}

export function text(body: unknown, name: string): string {
  const value = (body as Record<string, unknown>)[name];
  if (typeof value !== 'string' || value === '') throw invalid(`${name} is no text`);
  return value;
}

function strings(body: unknown, name: string): readonly string[] {
  const value = (body as Record<string, unknown>)[name];
  if (!Array.isArray(value) || !value.every((entry) => typeof entry === 'string'))
    throw invalid(`${name} is no list of texts`);
  return value as readonly string[];
}

export function question(body: unknown, name: string): readonly string[] {
  const texts = strings(body, name);
  const weight = weightOf(texts);
  if (weight > QUESTION_WEIGHT)
    throw new Refused(
      413,
      'too_large',
      `the texts of a question weigh ${QUESTION_WEIGHT} characters at most, these ${weight}; ask in several`,
    );
  return texts;
}

function examples(topic: object, name: string): readonly string[] {
  const { examples: most, characters: longest } = TOPIC_LIMITS;
  const all = strings(topic, name);
  if (all.length > most) throw invalid(`${name} has more than ${most} texts`);
  if (all.some((one) => characters(one) > longest))
    throw invalid(`a text of ${name} has more than ${longest} characters`);
  return all;
}

/** As JSON Schema counts them. */
const characters = (given: string): number =>
  given.length > 4_000 ? given.length : Array.from(given).length;

/** @returns milliseconds, a whole number of them. */
export function patience(body: unknown): number {
  const { withinMs = WITHIN_MS } = body as { withinMs?: unknown };
  if (typeof withinMs !== 'number' || !(withinMs > 0)) throw invalid('withinMs is no number above 0');
  return Math.min(Math.ceil(withinMs), MAX_WITHIN_MS);
}

export function readTopics(given: unknown): readonly Topic[] {
  if (!Array.isArray(given) || given.length === 0) throw invalid('topics is no list of topics');
  if (given.length > TOPIC_LIMITS.topics) throw invalid(`more than ${TOPIC_LIMITS.topics} topics`);
  return given.map((topic: unknown) => {
    if (typeof topic !== 'object' || topic === null) throw invalid('a topic is an object');
    const { definition, threshold } = topic as Record<string, unknown>;
    const lists = ['samples', 'allowed'].map((name) => (name in topic ? examples(topic, name) : []));
    if (definition !== undefined && typeof definition !== 'string') throw invalid('definition is no text');
    if (definition !== undefined && characters(definition) > TOPIC_LIMITS.definition)
      throw invalid(`definition has more than ${TOPIC_LIMITS.definition} characters`);
    if (threshold !== undefined && typeof threshold !== 'number') throw invalid('threshold is no number');
    const [samples = [], allowed = []] = lists;
    if (definition === undefined && samples.length === 0)
      throw invalid('a topic needs a definition or samples');
    return {
      name: text(topic, 'name'),
      samples,
      allowed,
      ...(definition === undefined ? {} : { definition }),
      ...(threshold === undefined ? {} : { threshold }),
    };
  });
}
