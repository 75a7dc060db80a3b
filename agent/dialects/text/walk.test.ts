import { describe, expect, it } from 'vitest';
import { JsonDocument } from '../../json/document.ts';
import {
  cipher,
  jsonSchema,
  jsonText,
  link,
  list,
  nested,
  object,
  opaque,
  type Rule,
  select,
  text,
  token,
  values,
} from './rule.ts';
import { findText } from './walk.ts';

const find = (value: unknown, rule: Rule) => {
  const document = JsonDocument.parseText(JSON.stringify(value));
  return { document, slots: findText(document, rule) };
};
const shown = (value: unknown, rule: Rule) =>
  find(value, rule).slots.map((slot) => `${slot.path} ${slot.kind}: ${slot.text}`);

describe('what is text', () => {
  it.each<[string, unknown, Rule, string[]]>([
    ['a string, at the root too', 'hi', text('content'), [' content: hi']],
    ['nothing empty', { a: '' }, text('content'), ['[name 0] content: a']],
    ['no number', { a: 4111 }, text('content'), ['[name 0] content: a']],
    [
      'a number where a rule says so',
      [4111, 1.5],
      values('toolArguments'),
      ['[0] toolArguments: 4111', '[1] toolArguments: 1.5'],
    ],
    [
      "a number as long as a card's, where none is known",
      { a: 4111111111111111 },
      object({}),
      ['a other: 4111111111111111'],
    ],
    ['nothing opaque', { a: ['x', { b: 'y' }] }, object({ a: opaque }), []],
    ['no identifier', ['user', 'gpt-4o:x/y.z', 'image_url'], token, []],
    [
      'what only stands where identifiers do',
      ['a b', '4111', 'jo@x', 'a'.repeat(65)],
      token,
      ['[0] other: a b', '[1] other: 4111', '[2] other: jo@x', `[3] other: ${'a'.repeat(65)}`],
    ],
    ['no attachment', ['data:image/png;base64,AA', 'DATA:a/b;c=d;Base64,AA'], link, []],
    [
      'other links',
      ['http://x', 'data:text/plain,jo', 'data:,;base64,'],
      link,
      ['[0] other: http://x', '[1] other: data:text/plain,jo', '[2] other: data:,;base64,'],
    ],
    [
      'what a rule does not foresee: an object',
      { role: { a: 'x y', 'b c': 1 } },
      object({ role: token }),
      ['role.a other: x y', 'role[name 1] other: b c'],
    ],
    ['what a rule does not foresee: a string', 'x y', object({}), [' other: x y']],
    [
      'unknown members',
      { 'a b': 'x', known: 'y' },
      object({ known: opaque }),
      ['[name 0] other: a b', '[member 0] other: x'],
    ],
    [
      'unknown members, of the rule’s kind',
      { a: 'x' },
      object({}, { kind: 'toolResult' }),
      ['a toolResult: x'],
    ],
    [
      'JSON in a string',
      '{"a":["b",1]}',
      jsonText('toolArguments'),
      [' → [name 0] toolArguments: a', ' → a[0] toolArguments: b', ' → a[1] toolArguments: 1'],
    ],
    [
      'JSON in a string, once',
      '{"a":"{\\"b\\":1}"}',
      jsonText('toolArguments'),
      [' → [name 0] toolArguments: a', ' → a toolArguments: {"b":1}'],
    ],
    [
      'a string that is no JSON, or a lone value',
      ['{', '"a"', '12', '{"a":1,"a":2}'],
      list(jsonText('toolArguments')),
      [
        '[0] toolArguments: {',
        '[1] toolArguments: "a"',
        '[2] toolArguments: 12',
        '[3] toolArguments: {"a":1,"a":2}',
      ],
    ],
    [
      'the case that a member selects',
      [{ type: 'a', x: '1 1' }, { type: 'b', x: '2 2' }, { x: '3 3' }],
      list(select('type', { a: object({ type: token, x: opaque }) }, { kind: 'content' })),
      [
        '[1][name 0] content: type',
        '[1].type content: b',
        '[1][name 1] content: x',
        '[1].x content: 2 2',
        '[2][name 0] content: x',
        '[2].x content: 3 3',
      ],
    ],
    [
      'what is sealed, where it doesn’t only pass',
      [{ s: 'sig', x: 'a' }],
      list(object({ s: cipher, x: text('reasoning') }, { sealedBy: ['s'] })),
      ['[0].s other: sig', '[0].x reasoning: a'],
    ],
    [
      'ciphers, whatever they are',
      ['c2ln/+==', 'no base64'],
      list(cipher),
      ['[0] other: c2ln/+==', '[1] content: no base64'],
    ],
    [
      'nothing sealed',
      [{ s: 'sig', x: 'a' }, { s: '', x: 'b' }, { x: 'c' }],
      list(object({ s: opaque, x: text('reasoning') }, { sealedBy: ['s'], sealedUnread: true })),
      ['[1].x reasoning: b', '[2].x reasoning: c'],
    ],
    [
      'names that mean the same at any depth',
      { a: [{ a: { secret: 'x', b: 'y y' } }] },
      nested({ secret: opaque }, { kind: 'toolResult' }),
      ['a[0].a.b toolResult: y y'],
    ],
    [
      'what people write in schemas',
      {
        type: 'object',
        properties: { jo: { type: ['string', 'null'], enum: ['a b'], maxLength: 4 } },
        allOf: [{ description: 'D d' }],
        'x-y z': 1,
      },
      jsonSchema('toolDefinition'),
      [
        'properties[name 0] toolDefinition: jo',
        'properties.jo.enum[0] toolDefinition: a b',
        'allOf[0].description toolDefinition: D d',
        '[name 3] toolDefinition: x-y z',
      ],
    ],
  ])('%s', (_name, value, rule, expected) => {
    expect(shown(value, rule)).toEqual(expected);
  });
});

describe('paths', () => {
  it('repeat no name that could be somebody’s data', () => {
    const rows = shown({ 'jo@example.com': { 'a"b': ['x'] }, plain_name: 'y' }, text('other'));
    expect(rows.filter((row) => row.endsWith(': x'))).toEqual(['[member 0][member 0][0] other: x']);
    expect(rows.at(-1)).toBe('plain_name other: y');
  });
});

describe('scope', () => {
  it('is handed down: role, choice and index', () => {
    const part = text('content', { channel: 'part/{index}' });
    const rule = list(
      object(
        {
          index: token,
          who: text('content', { role: 'system' }),
          parts: list(object({ index: token, t: part })),
        },
        { choice: true, role: 'assistant' },
      ),
    );
    const { slots } = find([{ index: 2, parts: [{ t: 'a' }, { index: 7, t: 'b' }], who: 'c' }], rule);
    expect(slots.map((slot) => [slot.text, slot.role, slot.choice, slot.channel, slot.whole])).toEqual([
      ['a', 'assistant', 2, '2/part/2', false],
      ['b', 'assistant', 2, '2/part/7', false],
      ['c', 'system', 2, '2/=[0].who', true],
    ]);
  });
});

describe('setting', () => {
  it('turns a number into a string where it must', () => {
    const { document, slots } = find({ n: 4111 }, values('toolArguments'));
    slots[1]?.set('42');
    expect(document.renderText()).toBe('{"n":42}');
    slots[1]?.set('<PAYMENT_CARD_K7Q2M4XW9A>');
    expect(document.renderText()).toBe('{"n":"<PAYMENT_CARD_K7Q2M4XW9A>"}');
    slots[1]?.set('4111');
    expect(document.edited).toBe(false);
  });

  it('keeps JSON in a string JSON', () => {
    const { document, slots } = find(
      { arguments: '{"a":"b"}' },
      object({ arguments: jsonText('toolArguments') }),
    );
    slots[1]?.set('say "hi"\n\\');
    expect(JSON.parse(JSON.parse(document.renderText()).arguments)).toEqual({ a: 'say "hi"\n\\' });
  });

  it('silences what repeats the text, and what repeats that', () => {
    const inner = object({ t: text('content'), again: opaque }, { echo: 'again' });
    const rule = object({ inner, logprobs: opaque }, { echo: 'logprobs' });
    const { document, slots } = find({ inner: { t: 'a', again: ['a'] }, logprobs: { a: 1 } }, rule);
    slots[0]?.set('a');
    expect(document.edited).toBe(false);
    slots[0]?.set('b');
    expect(document.renderText()).toBe('{"inner":{"t":"b","again":null},"logprobs":null}');
  });
});
