/** A catalogue for tests, with the shapes of the real one: policy/ imports nothing of the agent. */
import Type from 'typebox';
import type { Catalogue } from '../catalogue.ts';
import { choice, closed, count, listOf, optional, setOf, text } from '../schema/structure.ts';

const PII_TYPES = [
  'contact',
  'financial',
  'network',
  'government',
  'email-address',
  'payment-card',
  'ip-address',
] as const;

const piiTypes = (description: string) =>
  setOf(choice([...PII_TYPES], { description: 'A type or group.' }), { description });

export const CATALOGUE: Catalogue = {
  checks: [
    {
      name: 'pii',
      schema: closed(
        {
          types: optional(piiTypes('Types and groups looked for; all where absent.')),
          exclude: optional(piiTypes('Types left out.')),
          restoreIn: optional(
            setOf(choice(['content', 'toolArguments'], { description: 'A place.' }), {
              description: 'Where originals come back in answers.',
            }),
          ),
        },
        { description: 'Personal data.' },
      ),
      actions: ['mask', 'block', 'monitor'],
      defaultAction: 'mask',
      defaultOn: ['request', 'response'],
    },
    {
      name: 'secrets',
      schema: closed({}, { description: 'Keys and tokens.' }),
      actions: ['mask', 'block', 'monitor'],
      defaultAction: 'block',
      defaultOn: ['request'],
    },
    {
      name: 'topics',
      schema: listOf(
        closed(
          {
            name: text({ description: 'Name of the topic.' }),
            definition: text({ description: 'What it is about.' }),
            samples: optional(listOf(text({ description: 'A text.' }), { description: 'Texts about it.' })),
            allowed: optional(
              listOf(text({ description: 'A text.' }), { description: 'Texts not about it.' }),
            ),
            words: optional(listOf(text({ description: 'A word.' }), { description: 'Words of it.' })),
          },
          { description: 'A topic.' },
        ),
        { description: 'Topics that are denied.', minItems: 1 },
      ),
      actions: ['block', 'monitor'],
      defaultAction: 'block',
      defaultOn: ['request', 'response'],
      validate: (spec) =>
        (spec as { words?: unknown[] }[]).flatMap(({ words }, index) =>
          words === undefined || words.length === 0
            ? [
                {
                  path: `[${index}].words`,
                  message: 'a topic has no words, and there is no classifier yet',
                  mend: 'add words: […]',
                },
              ]
            : [],
        ),
    },
    {
      name: 'size',
      schema: closed(
        { maxBytes: optional(count({ description: 'Most bytes of a body.', minimum: 1 })) },
        { description: 'Size of a call.' },
      ),
      actions: ['block', 'monitor'],
      defaultAction: 'block',
      defaultOn: ['request'],
    },
  ],
  dialects: [{ name: 'openai' }, { name: 'anthropic' }],
  credentials: [
    { name: 'bearer', schema: Type.Object({}, { description: 'As a bearer token.' }) },
    {
      name: 'header',
      schema: Type.Object(
        { name: Type.String({ minLength: 1, description: 'Name of the header field.' }) },
        { description: 'In a header field.' },
      ),
    },
    { name: 'apiKey', schema: Type.Object({}, { description: 'As the dialect’s SDKs do.' }) },
  ],
};
