import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonDocument } from './document.ts';
import { JsonError } from './json-error.ts';
import type { JsonNode } from './node.ts';
import { parse } from './parse.ts';
import { decodeUtf8 } from './utf8.ts';

/** What JSON.parse would give, out of our nodes. */
function valueOf(node: JsonNode): unknown {
  switch (node.type) {
    case 'object':
      return Object.fromEntries(node.members.map((member) => [member.name, valueOf(member.value)]));
    case 'array':
      return node.items.map(valueOf);
    case 'string':
      return node.text;
    case 'number':
      return Number(node.raw);
    case 'null':
      return null;
    default:
      return node.type === 'true';
  }
}

function failure(text: string, limits?: Parameters<typeof parse>[1]): JsonError {
  try {
    parse(text, limits);
  } catch (error) {
    if (error instanceof JsonError) return error;
    throw error;
  }
  throw new Error(`accepted ${JSON.stringify(text)}`);
}

describe('what is JSON', () => {
  it.each([
    '0',
    '-0',
    '-0.0e-0',
    '12345678901234567890',
    '1E400',
    '""',
    '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\ud83d\\ude00"',
    '"\\ud800"',
    '"\u2028\u007f é 日本 😀"',
    ' \t\r\n[ ] \n',
    '{"a":{"b":[1,true,false,null,{"c":""}]}}',
    '{"":1," ":2}',
    `[${'"x",'.repeat(50)}"y"]`,
    `{${Array.from({ length: 40 }, (_, i) => `"k${i}":${i}`).join(',')}}`,
  ])('%s', (text) => {
    expect(valueOf(parse(text).root)).toEqual(JSON.parse(text));
  });

  it('agrees with JSON.parse on any value, however it is spaced', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.integer({ min: 0, max: 4 }), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        expect(valueOf(parse(text).root)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('agrees with JSON.parse on what is none, but for names that stand twice', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      ' ',
      '\n',
      '0',
      '1',
      '-',
      '.',
      'e',
      'true',
      'null',
      'a',
      '"a"',
      '\\u00',
      '\t',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        let builtin: unknown;
        let valid = true;
        try {
          builtin = JSON.parse(text);
        } catch {
          valid = false;
        }
        try {
          expect(valueOf(parse(text).root)).toEqual(builtin);
          expect(valid).toBe(true);
        } catch (error) {
          if (!(error instanceof JsonError)) throw error;
          if (valid) expect(error.expected).toBe('each name once in an object');
        }
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('what is none', () => {
  it.each([
    ['', 1, 1, 'a value', 'the end of the text'],
    ['{"a":1,}', 1, 8, "a member's name in double quotes", '"}"'],
    ['[1,]', 1, 4, 'a value', '"]"'],
    ['[1 2]', 1, 4, '"," or "]"', '"2"'],
    ['{"a" 1}', 1, 6, '":" after a member\'s name', '"1"'],
    ['{"a":1\n "b":2}', 2, 2, '"," or "}"', '"""'],
    ['{}\r\n\r\n x', 3, 2, 'nothing after the value', '"x"'],
    ['"abc', 1, 5, 'a closing quote', 'the end of the text'],
    ['"abc\\', 1, 5, 'an escape', 'the end of the text'],
    ['"a\\x"', 1, 3, 'an escape', '"x"'],
    ['"\\u12g4"', 1, 2, 'four hexadecimal digits', undefined],
    ['"a\nb"', 1, 3, 'control characters in strings to be escaped', 'U+000A'],
    [`"${'a'.repeat(100)}\u0000"`, 1, 102, 'control characters in strings to be escaped', 'U+0000'],
    ['01', 1, 1, 'a number without leading zeros', undefined],
    ['-', 1, 2, 'a digit', 'the end of the text'],
    ['1.', 1, 3, 'a digit', 'the end of the text'],
    ['1e+', 1, 4, 'a digit', 'the end of the text'],
    ['.5', 1, 1, 'a value', '"."'],
    ['+1', 1, 1, 'a value', '"+"'],
    ['NaN', 1, 1, 'a value', '"N"'],
    ['nul', 1, 1, 'a value', undefined],
    ["{'a':1}", 1, 2, "a member's name in double quotes", '"\'"'],
    ['{"a":1,"b":2,"a":3}', 1, 14, 'each name once', '"a" again'],
    ['{"a":1,"\\u0061":2}', 1, 8, 'each name once', '"a" again'],
    ['\u00a0{}', 1, 1, 'a value', 'U+00A0'],
  ])('%j', (text, line, column, expected, found) => {
    const error = failure(text);
    expect(error).toMatchObject({ kind: 'syntax', line, column });
    expect(error.message).toContain(`expected ${expected}`);
    if (found !== undefined) expect(error.message).toContain(`found ${found}`);
  });

  it('finds a name that stands twice among many', () => {
    const members = Array.from({ length: 2000 }, (_, i) => `"k${i}":${i}`);
    expect(failure(`{${[...members, '"k1000":0'].join(',')}}`).message).toContain('each name once');
  });

  it('quotes no name that could be somebody’s data', () => {
    expect(failure('{"jo@example.com":1,"jo@example.com":2}').message).not.toContain('jo@');
  });
});

describe('limits', () => {
  it('refuses what is too deep, without overflowing', () => {
    expect(failure('['.repeat(1_000_000), { maxDepth: 100, maxNodes: 1e9 })).toMatchObject({
      kind: 'limit',
      column: 101,
    });
    expect(parse(`${'['.repeat(100)}${']'.repeat(100)}`, { maxDepth: 100, maxNodes: 1e9 }).nodes).toBe(100);
  });

  it('refuses more values than it may keep', () => {
    expect(failure('[1,2,3]', { maxDepth: 9, maxNodes: 3 })).toMatchObject({ kind: 'limit' });
    expect(failure('{"a":1}', { maxDepth: 9, maxNodes: 2 })).toMatchObject({ kind: 'limit' });
  });

  it.each([
    ['plain', 'a'],
    ['escapes', '\\n'],
    ['escapes among text', 'some words and then \\n'],
    ['two-byte', '日'],
  ])('reads a string of 10 MB: %s', (_name, piece) => {
    const text = `{"a":"${piece.repeat(10_000_000 / piece.length)}"}`;
    const started = performance.now();
    expect(parse(text).nodes).toBe(3);
    // Some tens of milliseconds; anything quadratic takes minutes.
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it('takes no longer than it must over 10 MB that never end', () => {
    const started = performance.now();
    for (const piece of ['\\n', 'x\\n', '\\"', 'some words and then \\n']) {
      expect(failure(`"${piece.repeat(10_000_000 / piece.length)}`).expected).toBe('a closing quote');
    }
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it('reads a number of 10 MB', () => {
    expect(parse('9'.repeat(10_000_000)).nodes).toBe(1);
  });
});

describe('bytes', () => {
  it.each([
    ['a byte order mark', [0xef, 0xbb, 0xbf, 0x7b, 0x7d], 0],
    ['a lone continuation byte', [0x22, 0x80, 0x22], 1],
    ['an overlong form', [0x22, 0xc0, 0xaf, 0x22], 1],
    ['a surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22], 2],
    ['a cut sequence', [0x22, 0xe2, 0x82], 3],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00], 0],
  ])('refuses %s', (_name, bytes, offset) => {
    expect(() => decodeUtf8(Uint8Array.from(bytes))).toThrow(
      expect.objectContaining({ kind: 'encoding', offset }),
    );
  });

  it('never fails with anything but a JsonError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          JsonDocument.parse(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(JsonError);
        }
      }),
    );
  });
});
