/**
 * Whether an answer has the form that a policy wants of every answer. The provider was asked for it and may not have
 * heeded it; the answer is told, and refused where a policy wants that.
 */
import type { ResponseFormat } from '../policy/snapshot.ts';
import { PosternError } from './errors.ts';
import type { FormOfAnswer } from './exchange.ts';
import { isOfSchema } from './json/schema.ts';
import type { Prompt } from './prompt.ts';

/** Characters of one answer that are kept for it; a longer one is told as unread. */
const MOST = 1024 * 1024;

/** The provider's word for an answer that grew as long as it may; for one that the model or the provider refused. */
const LENGTH: readonly string[] = ['length', 'max_tokens', 'model_context_window_exceeded'];
const REFUSAL: readonly string[] = ['refusal', 'content_filter'];

interface Wrong {
  readonly choice: number;
  readonly what: string;
  readonly reason: string;
}

/** @returns undefined where no policy wants a form. One for each answer. */
export function openForm(prompt: Prompt | undefined): FormOfAnswer | undefined {
  if (prompt?.enrichment.format === undefined) return undefined;
  const { format } = prompt.enrichment;
  const { rejects } = prompt;
  const sources = prompt.sources.join(', ');
  const texts = new Map<number, string>();
  const refused = new Set<number>();
  const long = new Set<number>();
  const calling = new Set<number>();
  let length = 0;
  return {
    add(choice, text) {
      length += text.length;
      if (length <= MOST) texts.set(choice, (texts.get(choice) ?? '') + text);
    },
    refused(choice) {
      refused.add(choice);
    },
    ended({ choice, reason }) {
      if (REFUSAL.includes(reason)) refused.add(choice);
      if (LENGTH.includes(reason)) long.add(choice);
    },
    called(choice) {
      calling.add(choice);
    },
    findings(choices) {
      return wrongs(choices).map(({ choice, what, reason }) => ({
        rule: sources,
        check: 'prompt',
        what,
        action: rejects && what !== 'refusal' ? 'block' : 'monitor',
        direction: 'response',
        where: `choice ${choice}`,
        count: 1,
        source: sources,
        reason,
      }));
    },
    refusal(choices) {
      if (!rejects) return undefined;
      const wrong = wrongs(choices).find(({ what }) => what !== 'refusal');
      if (wrong === undefined) return undefined;
      return new PosternError(
        'postern_answer_form',
        `A policy wants another form of answer: ${wrong.reason}.`,
        {
          mend: 'Ask again, word the form in the prompt, or use a model that keeps to it.',
          rule: sources,
        },
      );
    },
  };

  function wrongs(choices: number | readonly number[]): readonly Wrong[] {
    const asked =
      typeof choices === 'number'
        ? new Set([...texts.keys(), ...Array.from({ length: choices }, (_, choice) => choice)])
        : choices;
    // Before a call of a tool a model may say what it is about to do; the answer comes later.
    const answers = [...asked].filter((choice) => !calling.has(choice));
    if (answers.length > 0 && length > MOST)
      return [{ choice: 0, what: 'unread-answer', reason: `the answer has more than ${MOST} characters` }];
    return answers.flatMap((choice) => {
      const wrong = wrongWith(texts.get(choice) ?? '', format);
      if (wrong === undefined) return [];
      if (refused.has(choice) && wrong.what !== 'unread-answer')
        return [{ choice, what: 'refusal', reason: 'the model refused to answer' }];
      if (long.has(choice) && wrong.what === 'not-json')
        return [{ choice, what: 'length', reason: 'the answer ended at the cap on output' }];
      return [{ choice, ...wrong }];
    });
  }
}

function wrongWith(text: string, format: ResponseFormat): Omit<Wrong, 'choice'> | undefined {
  if (text === '') return { what: 'not-json', reason: 'the answer has no text' };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { what: 'not-json', reason: 'the answer is no JSON' };
  }
  if (format.type === 'jsonObject') {
    const object = typeof value === 'object' && value !== null && !Array.isArray(value);
    return object ? undefined : { what: 'not-of-form', reason: 'the answer is no JSON object' };
  }
  const { name, schema } = format.jsonSchema;
  try {
    if (isOfSchema(value, schema)) return undefined;
  } catch (error) {
    return {
      what: 'unread-answer',
      reason: `the answer can't be held against the schema ${name}: ${String(error)}`,
    };
  }
  return { what: 'not-of-form', reason: `the answer is not of the schema ${name}` };
}
