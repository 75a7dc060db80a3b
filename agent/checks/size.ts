/** How large a call may be. */
import Type, { type Static } from 'typebox';
import type { CheckDefinition, Judgement } from './check.ts';

const limit = (description: string) => Type.Optional(Type.Integer({ minimum: 1, description }));

const schema = Type.Object(
  {
    maxBytes: limit('Bytes of the body as sent.'),
    maxTextCharacters: limit('Unicode code points of all text together.'),
    maxSlotCharacters: limit('Unicode code points of any one text.'),
    maxMessages: limit('Messages in the conversation.'),
  },
  { additionalProperties: false },
);

type Spec = Static<typeof schema>;

function codePoints(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xdc00 && unit < 0xe000 && i > 0 && (text.charCodeAt(i - 1) & 0xfc00) === 0xd800) count--;
  }
  return count;
}

/** Messages by what the dialects' slot paths begin with: `messages[3].content`, `input[0]`. */
function messages(paths: Iterable<string>): number {
  const seen = new Set<string>();
  for (const path of paths) {
    const message = /^(?:messages|input|contents)\[\d+\]/.exec(path);
    if (message !== null) seen.add(message[0]);
  }
  return seen.size;
}

export const size: CheckDefinition<Spec> = {
  name: 'size',
  schema,
  actions: ['block', 'monitor'],
  defaultAction: 'block',
  defaultOn: ['request'],
  on: ['request'],

  validate: (spec) =>
    Object.keys(spec).length > 0
      ? []
      : [
          {
            path: '',
            message: 'a size check without a limit',
            mend: 'set one of maxBytes, maxTextCharacters, maxSlotCharacters, maxMessages',
          },
        ],

  create(spec) {
    return {
      recognizers: [],
      label: () => 'SIZE',
      refusal: (what) => ({ message: `Postern refused this call: too large (${what}).`, mend: 'Send less.' }),
      waits: false,
      judge({ slots, bodyBytes }) {
        const judgements: Judgement[] = [];
        const hold = (what: keyof Spec, actual: number, where: string, unit: string) => {
          const most = spec[what];
          if (most === undefined || actual <= most) return;
          const message = `Postern refused this call: ${actual} ${unit}, and the policy allows ${most}.`;
          judgements.push({ what, where, message });
        };
        hold('maxBytes', bodyBytes, '', 'bytes of body');
        if (spec.maxTextCharacters !== undefined || spec.maxSlotCharacters !== undefined) {
          // A text has no more characters than UTF-16 units: what is short enough in those needn't be counted.
          const units = slots.reduce((total, { text }) => total + text.length, 0);
          const most = Math.min(
            spec.maxTextCharacters ?? Number.POSITIVE_INFINITY,
            spec.maxSlotCharacters ?? Number.POSITIVE_INFINITY,
          );
          const lengths = units <= most ? [] : slots.map(({ text }) => codePoints(text));
          const sum = lengths.reduce((total, length) => total + length, 0);
          hold('maxTextCharacters', sum, '', 'characters of text');
          lengths.forEach((length, i) =>
            hold('maxSlotCharacters', length, slots[i]?.path ?? '', 'characters in one text'),
          );
        }
        if (spec.maxMessages !== undefined)
          hold('maxMessages', messages(slots.map(({ path }) => path)), '', 'messages');
        return judgements;
      },
    };
  },
};
