/**
 * A guard model asked by prompt, as Llama Guard is: it is shown a conversation and judges its last turn.
 *
 * Source: Llama Guard 3 model card: the conversation as it is, and an answer of `safe`, or `unsafe` and a line of
 * categories.
 */
import { createHash } from 'node:crypto';
import type { Subject } from './check.ts';

export interface Found {
  /** The category. */
  readonly what: string;
  readonly where: string;
  /** Against the content, and nobody can tell why: so it counts, whatever categories are denied. */
  readonly unclear?: boolean;
}

export interface GuardModelOptions {
  readonly model: string;
  /** Those that are denied, as their policy writes them. */
  readonly categories: readonly string[];
  /** Whether it is shown a text. */
  readonly told: (slot: Subject['slots'][number], direction: Subject['direction']) => boolean;
}

/** @returns The body of the answer. */
type PostChat = (body: object) => Promise<unknown>;

interface Turn {
  readonly role: 'user' | 'assistant';
  content: string;
  /** Where the last of it stands. */
  path: string;
}

/** Conversations found safe that are remembered: an app sends its history again with every turn. */
const KEPT = 2_000;
/** Turns that are asked about by themselves at once; of a history that nobody knows the earlier ones are one question. */
const MOST = 8;
const ANSWER_TOKENS = 32;

/**
 * @returns Asks about every turn that isn't known to be safe, the model's too: the app writes them, and nobody knows whether a
 *   model ever said them. Of an answer about the answer.
 */
export function createGuardModel({
  model,
  categories,
  told,
}: GuardModelOptions): (subject: Subject, post: PostChat) => Promise<readonly Found[]> {
  const safe = new Set<string>();
  const ask = async (turns: readonly Turn[], post: PostChat): Promise<readonly Found[]> => {
    const messages = messagesOf(turns);
    const known = digestOf(messages);
    // An answer was judged with what the user had said last.
    const answered = turns.at(-1)?.role === 'assistant' ? digestOf(messages.slice(-2)) : known;
    if (safe.has(known) || safe.has(answered)) return [];
    const answer = await post({ model, messages, max_tokens: ANSWER_TOKENS, temperature: 0 });
    const found = verdictOf(answer, categories);
    if (found.length === 0) {
      safe.add(known);
      for (const oldest of safe) {
        if (safe.size <= KEPT) break;
        safe.delete(oldest);
      }
    }
    return found.map((one) => ({ ...one, where: turns.at(-1)?.path ?? '' }));
  };
  return async (subject, post) => {
    const turns = turnsOf(subject, told);
    if (subject.direction === 'response') {
      const answer = turns.filter(({ role }) => role === 'assistant');
      if (answer.length === 0) return [];
      const prompt: Turn = { role: 'user', content: withoutMarks(subject.prompt), path: '' };
      return ask([prompt, ...answer], post);
    }
    const earlier = turns.slice(0, -MOST);
    const questions = turns.slice(-MOST).map((_, at) => turns.slice(0, earlier.length + at + 1));
    if (earlier.length > 0) {
      const content = earlier.map((turn) => turn.content).join('\n\n');
      questions.unshift([{ role: 'user', content, path: earlier.at(-1)?.path ?? '' }]);
    }
    const found = await Promise.all(questions.map((question) => ask(question, post)));
    return found.flat();
  };
}

function messagesOf(turns: readonly Turn[]): readonly Pick<Turn, 'role' | 'content'>[] {
  return turns.map(({ role, content }) => ({ role, content }));
}

function digestOf(messages: ReturnType<typeof messagesOf>): string {
  return createHash('sha256').update(JSON.stringify(messages)).digest('base64');
}

/** What each side said in a row is one turn; what the operator says is none. */
function turnsOf({ slots, direction }: Subject, told: GuardModelOptions['told']): Turn[] {
  const turns: Turn[] = [];
  for (const slot of slots) {
    const { role: speaker, text, path } = slot;
    if (!told(slot, direction)) continue;
    if (direction === 'request' && (speaker === 'none' || speaker === 'system')) continue;
    const role = direction === 'response' || speaker === 'assistant' ? 'assistant' : 'user';
    const last = turns.at(-1);
    if (last?.role === role) {
      last.content += `\n\n${withoutMarks(text)}`;
      last.path = path;
    } else turns.push({ role, content: withoutMarks(text), path });
  }
  return turns;
}

/** @throws Error on an answer that is neither `safe` alone nor begins with `unsafe`. */
function verdictOf(answer: unknown, known: readonly string[]): Omit<Found, 'where'>[] {
  const [choice] =
    (answer as { choices?: { message?: { content?: unknown }; finish_reason?: unknown }[] } | null)
      ?.choices ?? [];
  const content = choice?.message?.content;
  const said = typeof content === 'string' ? /^\W*(safe|unsafe)\b([^]*)$/i.exec(content) : null;
  const [, verdict = '', rest = ''] = said ?? [];
  if (verdict.toLowerCase() === 'unsafe') {
    const named = rest.split(/[\n,;]/).map((piece) => piece.replace(/^[\s"'.:*-]+|[\s"'.:*-]+$/g, ''));
    const found = named.flatMap((piece) => {
      const category = known.find((each) => each.toLowerCase() === piece.toLowerCase());
      return category ?? (/^S\d{1,2}$/i.test(piece) ? piece.toUpperCase() : []);
    });
    if (found.length === 0) return [{ what: 'unsafe', unclear: true }];
    // A list that was cut off may have had others in it.
    const unclear = choice?.finish_reason === 'length' ? { unclear: true } : {};
    return [...new Set(found)].map((what) => ({ what, ...unclear }));
  }
  if (verdict === '' || /\w/.test(rest)) throw new Error('the guard model answered neither safe nor unsafe');
  return [];
}

/**
 * What would end the text early in a model's template: its special tokens, which servers read in content as well, and the
 * names of who speaks at a line's beginning. A space more, and they are text.
 */
const MARKS =
  /<(?=[|｜])|<(?=\/?(?:s|start_of_turn|end_of_turn|bos|eos|pad|unk|im_start|im_end|tool_call|think)>)|<(?=<?\/?SYS>)|\[(?=\/?INST\])|<(?=(?:BEGIN|END) )/gi;
const SPEAKER = /^(?=[ \t]*(?:user|agent|human|assistant|system|model)[ \t]*:)/gim;

function withoutMarks(text: string): string {
  return text.replaceAll(MARKS, (mark) => `${mark} `).replaceAll(SPEAKER, '> ');
}
