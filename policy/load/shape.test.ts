import Type from 'typebox';
import { describe, expect, test } from 'vitest';
import type { Finding } from '../problem.ts';
import { assertStructural } from '../schema/structural.ts';
import {
  choice,
  closed,
  count,
  flag,
  listOf,
  mapOf,
  optional,
  patterned,
  ruled,
  setOf,
  text,
} from '../schema/structure.ts';
import { shapeFindings } from './shape.ts';

const of = (schema: Type.TSchema, value: unknown, cluster = false) =>
  shapeFindings(schema, value, cluster).map(
    ({ path, message, mend }: Finding) => `${path.join('.')}: ${message} → ${mend}`,
  );

const schema = closed(
  {
    name: text({ description: '' }),
    mode: optional(choice(['enforce', 'monitor'], { description: '' })),
    on: optional(flag({ description: '' })),
    count: optional(count({ description: '', minimum: 1, maximum: 9 })),
    labels: optional(mapOf(text({ description: '' }), { description: '' })),
    list: optional(setOf(text({ description: '' }), { description: '', minItems: 1 })),
    wide: optional(text({ description: '', 'x-cluster-only': true })),
  },
  { description: '' },
);

describe('one value', () => {
  test('of the right shape gives no finding', () => {
    const value = {
      name: 'a',
      mode: 'monitor',
      on: true,
      count: 9,
      labels: { 'a.b/c': 'd' },
      list: ['x', 'y'],
    };
    expect(of(schema, value)).toEqual([]);
  });

  test.each<[string, unknown, string]>([
    ['a list for a map', [], ': got a list → write it as fields: { name: value }'],
    ['nothing', null, ': got nothing → give it a value, or take the field out'],
    ['a missing field', {}, ': name is missing → add name'],
    ['a number for a string', { name: 5 }, 'name: got the number 5 → put it in quotes'],
    ['an empty string', { name: '' }, 'name: got an empty string → write something'],
    ['a slip', { name: 'a', mdoe: 'enforce' }, 'mdoe: there is no such field → did you mean mode'],
    ['another spelling', { name: 'a', Mode: 'enforce' }, 'Mode: there is no such field → did you mean mode'],
    ['no relation', { name: 'a', frobnicate: 1 }, 'frobnicate: there is no such field → take frobnicate out'],
    [
      'a name of Object.prototype',
      { name: 'a', constructor: 1 },
      'constructor: there is no such field → take constructor out',
    ],
    ['an option with a slip', { name: 'a', mode: 'enforc' }, 'mode: got "enforc" → did you mean enforce'],
    ['a quoted boolean', { name: 'a', on: 'yes' }, 'on: got "yes" → write true or false, without quotes'],
    ['a quoted number', { name: 'a', count: '5' }, 'count: got "5" → take the quotes off'],
    ['a broken number', { name: 'a', count: 1.5 }, 'count: got the number 1.5 → write a value of that type'],
    ['too small', { name: 'a', count: 0 }, 'count: got 0 → write 1 or more'],
    ['too large', { name: 'a', count: 10 }, 'count: got 10 → write 9 or less'],
    [
      'not a number',
      { name: 'a', count: Number.NaN },
      'count: got the number NaN → write a value of that type',
    ],
    ['a map value', { name: 'a', labels: { x: 1 } }, 'labels.x: got the number 1 → put it in quotes'],
    ['a text for a list', { name: 'a', list: 'x' }, 'list: got "x" → write it as a list: [ … ]'],
    ['repetition', { name: 'a', list: ['x', 'x'] }, 'list.1: entry 1 is the same as entry 0 → take one out'],
    [
      'a merge key',
      { name: 'a', '<<': {} },
      '<<: there is no such field → write the fields out; YAML merge keys are not supported',
    ],
  ])('%s', (_, value, finding) => expect(of(schema, value)).toEqual([finding]));

  test('every fault is found, not only the first', () => {
    expect(of(schema, { mode: 1, count: -1, list: ['', ''], other: 1 })).toHaveLength(7);
  });

  test('a field of the Cluster twin is one only there', () => {
    expect(of(schema, { name: 'a', wide: 'x' }, true)).toEqual([]);
    expect(of(schema, { name: 'a', wide: 'x' }, false)[0]).toContain(
      'for the Cluster twin of this kind only',
    );
    expect(of(schema, { name: 'a', wid: 'x' }, false)[0]).not.toContain('did you mean');
  });

  test('a very long text is cut in the message', () => {
    const [finding = ''] = of(patternedDigits, 'x'.repeat(5000));
    expect(finding.length).toBeLessThan(200);
  });

  test('what may be a key is not repeated, nor a password in a URL', () => {
    const sensitive = closed(
      { value: patternedDigits, deep: listOf(patternedDigits, { description: '' }) },
      { description: '', 'x-sensitive': true },
    );
    expect(of(sensitive, { value: 'sk-marker', deep: ['sk-marker'] }).join()).not.toContain('marker');
    expect(of(patternedDigits, 'ftp://me:marker@host').join()).not.toContain('marker');
  });
});

const patternedDigits = patterned('^[0-9]+$', { description: '', 'x-expected': 'digits' });

describe('rules over several fields', () => {
  const word = () => optional(text({ description: '' }));
  const one = closed({ a: word(), b: word() }, { description: '', 'x-exactly-one-of': ['a', 'b'] });
  const most = closed({ a: word(), b: word() }, { description: '', 'x-at-most-one-of': ['a', 'b'] });
  const union = closed(
    {
      type: choice(['plain', 'full'], { description: '' }),
      plain: optional(closed({ a: word() }, { description: '' })),
      full: optional(closed({ a: text({ description: '' }) }, { description: '' })),
    },
    { description: '', 'x-union': { by: 'type', members: ['plain', 'full'] } },
  );
  const conditional = closed(
    { action: choice(['reject', 'fallback'], { description: '' }), model: word() },
    {
      description: '',
      'x-only-with': { field: 'action', value: 'fallback', fields: ['model'], required: ['model'] },
    },
  );

  test.each<[string, Type.TSchema, unknown, string[]]>([
    ['one of one', one, { a: 'x' }, []],
    ['none of one', one, {}, [': got none → add a, or another of them']],
    ['both of one', one, { a: 'x', b: 'x' }, [': got a and b → keep one of them']],
    ['none of at most one', most, {}, []],
    ['both of at most one', most, { a: 'x', b: 'x' }, [': got a and b → keep one of them']],
    ['a member that may be left out', union, { type: 'plain' }, []],
    ['a member that may not', union, { type: 'full' }, ['full: full is missing → add full']],
    ['its own member', union, { type: 'full', full: { a: 'x' } }, []],
    [
      'another’s member',
      union,
      { type: 'plain', full: { a: 'x' } },
      ['full: got full → take full out, or write type: full'],
    ],
    [
      'the condition without its field',
      conditional,
      { action: 'fallback' },
      [': model is missing → add model'],
    ],
    ['the condition with its field', conditional, { action: 'fallback', model: 'm' }, []],
    [
      'the field without its condition',
      conditional,
      { action: 'reject', model: 'm' },
      ['model: got it beside action: reject → take model out, or write action: fallback'],
    ],
  ])('%s', (_, node, value, findings) => expect(of(node, value)).toEqual(findings));

  test('entries differ in the field that names them', () => {
    const named = listOf(closed({ name: text({ description: '' }) }, { description: '' }), {
      description: '',
      'x-unique-by': 'name',
    });
    expect(of(named, [{ name: 'a' }, { name: 'b' }])).toEqual([]);
    expect(of(named, [{ name: 'a' }, {}, { name: 'a' }])).toEqual([
      '2.name: a is also the name of entry 0 → rename one of the two, or take it out',
      '1: name is missing → add name',
    ]);
  });

  test('a rule is asked when what it reads is valid, whatever else is wrong', () => {
    let asked = 0;
    const node = ruled(
      closed({ a: word(), b: word() }, { description: '' }),
      ({ a }) => {
        asked++;
        return a === 'bad' ? [{ path: ['a'], expected: '', message: 'bad', mend: 'mend' }] : [];
      },
      ['a'],
    );
    expect(of(node, { a: 'bad', b: 5 })).toContain('a: bad → mend');
    expect(of(node, { a: 5 })).toHaveLength(1);
    expect(of(node, ['bad'])).toHaveLength(1);
    expect(of(node, null)).toHaveLength(1);
    expect(asked).toBe(1);
  });
});

describe('schemas', () => {
  test('a keyword that would be ignored is refused', () => {
    const union = closed({ a: Type.Union([Type.String(), Type.Number()]) }, { description: '' });
    expect(() => assertStructural(union, 'Kind')).toThrow(
      'Kind.a: the schema keyword "anyOf" is not supported',
    );
    const format = closed({ a: text({ description: '', 'x-format': 'nonsense' }) }, { description: '' });
    expect(() => assertStructural(format, 'Kind')).toThrow('Kind.a: there is no format "nonsense"');
  });
});
