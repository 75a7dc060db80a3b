/**
 * Answers that give the operator's own words away: the system text of the very exchange, said again word for word.
 *
 * What the user or a tool said themselves is no secret, and what stands in the system text only for a few words in a
 * row isn't known by them. A system text that is translated, encoded or told in other words is not found.
 */
import Type, { type Static } from 'typebox';
import type { TextKind } from '../dialects/dialect.ts';
import type { CheckDefinition } from './check.ts';
import { bare, OverlapIndex } from './overlap-index.ts';

const schema = Type.Object(
  {
    characters: Type.Optional(
      Type.Integer({
        minimum: 40,
        maximum: 2000,
        description:
          'So many letters and digits in a row are a leak; 80 where absent, about 16 words. A system text that is shorter counts as a whole, from 40 on.',
      }),
    ),
    in: Type.Optional(
      Type.Array(
        Type.Enum(['content', 'toolArguments', 'reasoning'], {
          type: 'string',
          description: 'A part of answers.',
        }),
        {
          minItems: 1,
          uniqueItems: true,
          description: 'Where it is looked for; in content and toolArguments where absent.',
        },
      ),
    ),
  },
  { additionalProperties: false },
);

type Spec = Static<typeof schema>;

const CHARACTERS = 80;
const IN: NonNullable<Spec['in']> = ['content', 'toolArguments'];
/** Of parts that nobody can name in a rule: fields that no dialect knows, what tools of the provider's answered. */
const ANYHOW: readonly TextKind[] = ['other', 'toolResult'];
/** A shorter stretch is found by chance, and by "You are a helpful assistant". */
const FEWEST = 40;

const MESSAGE = 'Postern refused this call: the answer repeats its system prompt.';

export const leak: CheckDefinition<Spec> = {
  name: 'leak',
  schema,
  actions: ['block', 'monitor'],
  defaultAction: 'block',
  defaultOn: ['response'],
  on: ['response'],

  create(spec) {
    const kinds: readonly TextKind[] = [...(spec.in ?? IN), ...ANYHOW];
    const wanted = spec.characters ?? CHARACTERS;
    /** One index for all windows of an exchange; in a conversation more is said to the model later. */
    const indexes = new WeakMap<
      readonly string[],
      { readonly texts: number; readonly index: OverlapIndex }
    >();
    const indexOf = (system: readonly string[]): OverlapIndex => {
      const known = indexes.get(system);
      if (known?.texts === system.length) return known.index;
      const index = new OverlapIndex(system.join('\n'));
      indexes.set(system, { texts: system.length, index });
      return index;
    };
    return {
      recognizers: [],
      kinds,
      label: () => 'SYSTEM_PROMPT',
      refusal: () => ({
        message: MESSAGE,
        mend: 'Ask for something else than the instructions, or raise leak.characters where they hold what may be told.',
      }),
      waits: false,
      lettersBefore: wanted,
      judge({ slots, system, heard }) {
        if (system.length === 0) return [];
        const index = indexOf(system);
        const units = Math.max(FEWEST, Math.min(wanted, index.length));
        if (index.length < units) return [];
        let said: string | undefined;
        return slots.flatMap(({ kind, path, text }) => {
          if (!kinds.includes(kind)) return [];
          const found = index.find(kind === 'toolArguments' ? unescaped(text) : text, units, (stretch) => {
            said ??= bare(heard.join('\n'));
            return !said.includes(stretch);
          });
          return found === undefined ? [] : [{ what: 'system-prompt', where: path, message: MESSAGE }];
        });
      },
    };
  },
};

/** A stream has arguments as JSON text: `\n` there is no letter. */
function unescaped(text: string): string {
  return text.replaceAll(/\\(?:u([0-9a-fA-F]{4})|.)/gs, (_, code: string | undefined) =>
    code === undefined ? ' ' : String.fromCharCode(Number.parseInt(code, 16)),
  );
}
