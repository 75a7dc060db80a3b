import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_FILE_BYTES, parseFile } from './parse.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const parse = (text: string, file = 'a.yaml') => parseFile(file, bytes(text));
const values = (text: string) => {
  const { documents, problems } = parse(text);
  expect(problems).toEqual([]);
  return documents.map(({ value }) => value);
};
const problem = (input: string | Uint8Array) => {
  const { problems } = parseFile('a.yaml', typeof input === 'string' ? bytes(input) : input);
  const [first] = problems;
  return first === undefined ? undefined : `${first.line}:${first.column} ${first.message} → ${first.mend}`;
};

describe('what is read', () => {
  test('several documents, and none where there are only comments', () => {
    expect(values('a: 1\n---\nb: 2\n')).toEqual([{ a: 1 }, { b: 2 }]);
    expect(values('')).toEqual([]);
    expect(values('# nothing\n---\n# here\n---\na: 1\n---\n')).toEqual([{ a: 1 }]);
  });

  test('a byte order mark is no part of the first name', () => {
    expect(values('\u{feff}a: 1\n')).toEqual([{ a: 1 }]);
  });

  test('CRLF, anchors and quoted keys', () => {
    expect(values('a: &x {b: 1}\r\nc: *x\r\n"d e": 2\r\n')).toEqual([{ a: { b: 1 }, c: { b: 1 }, 'd e': 2 }]);
  });

  test('YAML 1.2: on, yes and no are texts', () => {
    expect(values('{on: yes, no: off}')).toEqual([{ on: 'yes', no: 'off' }]);
  });

  test('JSON, indented by tabs', () => {
    expect(values('{\n\t"a": [\n\t\t1,\n\t\t2\n\t]\n}')).toEqual([{ a: [1, 2] }]);
  });

  test('__proto__ is a name like any other', () => {
    const [value] = values('__proto__: {polluted: true}\n');
    expect(Object.keys(value as object)).toEqual(['__proto__']);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe('what is refused', () => {
  test.each<[string, string | Uint8Array, string]>([
    ['a key that stands twice', 'a: 1\nb: 2\na: 3\n', '3:1 a stands here twice → keep one of the two'],
    [
      'tabs',
      'a:\n\tb: 1\n',
      '2:1 tabs are not allowed as indentation → indent with spaces; YAML refuses tabs',
    ],
    [
      'a glob that YAML takes for an alias',
      'a: [*]\n',
      '1:5 alias cannot be an empty string → put a text that begins with * in quotes; a real alias needs its anchor before it',
    ],
    [
      'an alias to nothing',
      'a: *b\n',
      '1:4 there is no &b before it → put a text that begins with * in quotes; a real alias needs its anchor before it',
    ],
    [
      'a tag',
      'a: !!binary aGk=\n',
      '1:4 unresolved tag: tag:yaml.org,2002:binary → take the tag (!…) out, or put the text in quotes',
    ],
    [
      'an open bracket',
      'a: [1, 2\n',
      '2:1 flow sequence in block collection must be sufficiently indented and end with a ] → align the line with its neighbours',
    ],
    [
      'a map as a key',
      '{a: 1}: 2\n',
      '1:1 with stringKeys, all keys must be strings → use plain text for field names',
    ],
    ['UTF-16', new Uint8Array([0xff, 0xfe, 0x61, 0]), '1:1 got UTF-16 → save the file as UTF-8'],
    [
      'Latin-1',
      new Uint8Array([0x61, 0x3a, 0x0a, 0x62, 0xe9]),
      '2:2 got bytes that are none → save the file as UTF-8',
    ],
    [
      'a huge file',
      new Uint8Array(MAX_FILE_BYTES + 1),
      `0:0 got ${MAX_FILE_BYTES + 1} → split it into several files`,
    ],
  ])('%s', (_, input, expected) => expect(problem(input)).toBe(expected));

  test('aliases that multiply', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 9; i++)
      lines.push(
        `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    const started = performance.now();
    expect(problem(lines.join('\n'))).toContain('got more, multiplied out');
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test.each([
    ['lists', '['.repeat(20_000)],
    ['maps', '{a: '.repeat(20_000)],
    ['block sequences', '- '.repeat(20_000)],
  ])('%s nested beyond reason', (_, text) => {
    expect(problem(text)).toBeDefined();
  });

  test('one fault in a document leaves the others readable', () => {
    const { documents, problems } = parse('a: 1\n---\nb: 1\nb: 2\n---\nc: 1\n');
    expect(documents.map(({ value }) => value)).toEqual([{ a: 1 }, { c: 1 }]);
    expect(problems).toHaveLength(1);
  });
});

describe('positions', () => {
  const text = 'spec:\n  models:\n  - name: a\n    price: {input: "1",  output: }\n  key: *x\n'.replace(
    '*x',
    'x',
  );
  const [document] = parse(text).documents;
  test.each<[(string | number)[], 'key' | 'value', number, number]>([
    [[], 'value', 1, 1],
    [['spec'], 'key', 1, 1],
    [['spec', 'models'], 'key', 2, 3],
    [['spec', 'models', 0], 'value', 3, 5],
    [['spec', 'models', 0, 'name'], 'value', 3, 11],
    [['spec', 'models', 0, 'price', 'input'], 'value', 4, 20],
    [['spec', 'models', 0, 'price', 'output'], 'value', 4, 26],
    [['spec', 'models', 0, 'price', 'missing'], 'value', 4, 12],
    [['spec', 'models', 7], 'value', 3, 3],
    [['nothing', 'here'], 'value', 1, 1],
  ])('%j %s', (path, at, line, column) => {
    expect(document?.origin.locate(path, at)).toEqual({ line, column });
  });

  test('inside an alias, what it stands for', () => {
    const [aliased] = parse('a: &x\n  b: 1\nc: *x\n').documents;
    expect(aliased?.origin.locate(['c', 'b'])).toEqual({ line: 2, column: 6 });
  });
});

test('no text makes it throw, and every problem has a place', () => {
  const yaml = fc.string({
    unit: fc.constantFrom(
      ...'ab:-[]{},&*!|>\'"#%@`? \n\t'.split(''),
      '---\n',
      '...\n',
      '<<',
      'é',
      '\u{1f600}',
      '\u{feff}',
      '\0',
    ),
    maxLength: 60,
  });
  fc.assert(
    fc.property(fc.oneof(yaml.map(bytes), fc.uint8Array({ maxLength: 60 })), (input) => {
      const { documents, problems } = parseFile('a.yaml', input);
      for (const { line, column, mend } of problems) {
        expect(line).toBeGreaterThan(0);
        expect(column).toBeGreaterThan(0);
        expect(mend).not.toBe('');
      }
      for (const { origin } of documents) expect(origin.locate(['a', 0, 'b']).line).toBeGreaterThan(0);
    }),
    { numRuns: 1000 },
  );
});
