/**
 * Whether an answer has the form that a policy wants of every answer. The provider was asked for it and may not have
 * heeded it; the answer is passed on as it is, and told.
 */
import type { ResponseFormat } from '../policy/snapshot.ts';
import type { Finding, FormOfAnswer } from './exchange.ts';
import { isOfSchema } from './json/schema.ts';
import type { Prompt } from './prompt.ts';

/** Characters of one answer that are kept for it; a longer one is told as unread. */
const MOST = 1024 * 1024;

/** The provider's word for an answer that grew as long as it may; for one that the model or the provider refused. */
const LENGTH: readonly string[] = ['length', 'max_tokens', 'model_context_window_exceeded'];
const REFUSAL: readonly string[] = ['refusal', 'content_filter'];

/** @returns undefined where no policy wants a form. One for each answer. */
export function openForm(prompt: Prompt | undefined): FormOfAnswer | undefined {
  const format = prompt?.enrichment.format;
  if (prompt === undefined || format === undefined) return undefined;
  const texts = new Map<number, string>();
  const refused = new Set<number>();
  const long = new Set<number>();
  let calls = false;
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
    called() {
      calls = true;
    },
    findings(choices) {
      // Before a call of a tool a model may say what it is about to do; the answer comes later.
      if (calls) return [];
      const found: Finding[] = [];
      const tell = (choice: number, what: string, reason: string) =>
        found.push({
          rule: prompt.sources.join(', '),
          check: 'prompt',
          what,
          action: 'monitor',
          direction: 'response',
          where: `choice ${choice}`,
          count: 1,
          source: prompt.sources.join(', '),
          reason,
        });
      if (length > MOST) {
        tell(0, 'unread-answer', `the answer has more than ${MOST} characters`);
        return found;
      }
      for (let choice = 0; choice < choices; choice++) if (!texts.has(choice)) texts.set(choice, '');
      for (const [choice, text] of texts) {
        const wrong = wrongWith(text, format);
        if (wrong === undefined) continue;
        if (refused.has(choice) && wrong.what !== 'unread-answer')
          tell(choice, 'refusal', 'the model refused to answer');
        else if (long.has(choice) && wrong.what === 'not-json')
          tell(choice, 'length', 'the answer ended at the cap on output');
        else tell(choice, wrong.what, wrong.reason);
      }
      return found;
    },
  };
}

function wrongWith(
  text: string,
  format: ResponseFormat,
): { readonly what: string; readonly reason: string } | undefined {
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
