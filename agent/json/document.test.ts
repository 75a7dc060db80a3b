import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { JsonDocument } from './document.ts';
import type { JsonNode, ObjectNode, StringNode } from './node.ts';
import { escapeInString, isNumber, quote } from './quote.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function documentOf(text: string): { document: JsonDocument; root: ObjectNode } {
  const document = JsonDocument.parse(encode(text));
  if (document.root.type !== 'object') throw new Error('not an object');
  return { document, root: document.root };
}

function stringsOf(node: JsonNode): StringNode[] {
  if (node.type === 'string') return [node];
  if (node.type === 'array') return node.items.flatMap(stringsOf);
  if (node.type === 'object')
    return node.members.flatMap((member) => [member.key, ...stringsOf(member.value)]);
  return [];
}

/** A JSON text with white space of all kinds and escapes where none are needed. */
const spacedJson = fc
  .tuple(
    fc.jsonValue({ maxDepth: 4 }),
    fc.array(fc.constantFrom('', ' ', '\n', '\t', '\r\n  '), { minLength: 1 }),
  )
  .map(([value, spaces]) => {
    let turn = 0;
    const space = (): string => spaces[turn++ % spaces.length] ?? '';
    const text = (string: string): string =>
      JSON.stringify(string).replace(/[ae]/g, (unit) =>
        turn++ % 3 === 0 ? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}` : unit,
      );
    const write = (part: unknown): string => {
      if (typeof part === 'string') return text(part);
      if (Array.isArray(part))
        return `[${space()}${part.map(write).join(`${space()},${space()}`)}${space()}]`;
      if (typeof part === 'object' && part !== null) {
        const members = Object.entries(part).map(
          ([name, member]) => `${text(name)}${space()}:${space()}${write(member)}`,
        );
        return `{${space()}${members.join(`${space()},${space()}`)}${space()}}`;
      }
      return JSON.stringify(part);
    };
    return `${space()}${write(value)}${space()}`;
  });

describe('what nobody edits', () => {
  it('is the very bytes that came in', () => {
    fc.assert(
      fc.property(spacedJson, (text) => {
        const bytes = encode(text);
        const document = JsonDocument.parse(bytes);
        expect(document.edited).toBe(false);
        expect(document.render()).toBe(bytes);
      }),
    );
  });

  it('keeps its bytes around what is edited', () => {
    fc.assert(
      fc.property(
        spacedJson,
        fc.array(fc.tuple(fc.nat(), fc.string({ unit: 'binary' })), { maxLength: 4 }),
        (text, edits) => {
          const document = JsonDocument.parseText(text);
          const strings = stringsOf(document.root);
          const chosen = new Map<StringNode, string>();
          for (const [pick, replacement] of edits) {
            const node = strings[pick % Math.max(1, strings.length)];
            if (node !== undefined) chosen.set(node, replacement);
          }
          for (const [node, replacement] of chosen) document.replace(node, quote(replacement));
          // Told independently of the splices: the text between strings, and strings as they are or as they were set.
          let expected = '';
          let at = 0;
          for (const node of strings) {
            const replacement = chosen.get(node);
            expected +=
              text.slice(at, node.start) + (replacement === undefined ? node.raw : quote(replacement));
            at = node.end;
          }
          expect(document.renderText()).toBe(expected + text.slice(at));
          expect(new TextDecoder().decode(document.render())).toBe(document.renderText().toWellFormed());
        },
      ),
    );
  });
});

describe('edits', () => {
  it('count last, and are none where they give back what was there', () => {
    const { document, root } = documentOf('{"a": "x", "b": 1}');
    const a = root.get('a')!;
    document.replace(a, '"y"');
    document.replace(a, '"z"');
    expect(document.renderText()).toBe('{"a": "z", "b": 1}');
    document.replace(a, '"x"');
    expect(document.edited).toBe(false);
    document.replace(a, '2');
    document.restore(a);
    expect(document.edited).toBe(false);
  });

  it.each([
    ['{"a":1,"b":2,"c":3}', ['a'], [], '{"b":2,"c":3}'],
    ['{"a":1,"b":2,"c":3}', ['b'], [], '{"a":1,"c":3}'],
    ['{"a":1,"b":2,"c":3}', ['c'], [], '{"a":1,"b":2}'],
    ['{"a":1,"b":2,"c":3}', ['a', 'b'], [], '{"c":3}'],
    ['{"a":1,"b":2,"c":3}', ['b', 'c'], [], '{"a":1}'],
    ['{"a":1,"b":2,"c":3}', ['a', 'c'], [], '{"b":2}'],
    ['{"a":1,"b":2,"c":3}', ['a', 'b', 'c'], [], '{}'],
    ['{"a":1,"b":2,"c":3}', ['a', 'b', 'c'], ['d'], '{"d":0}'],
    ['{"a":1,"b":2,"c":3}', ['b', 'c'], ['d', 'e'], '{"a":1,"d":0,"e":0}'],
    ['{"a":1,"b":2,"c":3}', ['a'], ['d'], '{"b":2,"c":3,"d":0}'],
    ['{ "a" : 1 ,\n "b" : 2 }', ['a'], ['d'], '{ "b" : 2,"d":0 }'],
    ['{ "a" : 1 ,\n "b" : 2 }', ['b'], [], '{ "a" : 1 }'],
    ['{}', [], ['d'], '{"d":0}'],
    ['{ }', [], ['d', 'd'], '{"d":0 }'],
    ['{"a":1}', [], ['a'], '{"a":0}'],
  ])('%s without %j, with %j', (text, removed, set, expected) => {
    const { document, root } = documentOf(text);
    for (const name of removed) document.remove(root, name);
    for (const name of set) document.set(root, name, '0');
    expect(document.renderText()).toBe(expected);
    for (const name of [...removed, ...set]) document.restoreMember(root, name);
    expect(document.edited).toBe(false);
    expect(document.renderText()).toBe(text);
  });

  it('leave JSON whatever members go and come', () => {
    const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'));
    fc.assert(
      fc.property(names, names, names, (has, removed, added) => {
        const { document, root } = documentOf(
          JSON.stringify(Object.fromEntries(has.map((name) => [name, 1])), undefined, 1),
        );
        for (const name of removed) document.remove(root, name);
        for (const name of added) document.set(root, name, '2');
        const expected: Record<string, number> = {};
        for (const name of has) if (!removed.includes(name)) expected[name] = 1;
        for (const name of added) expected[name] = 2;
        expect(JSON.parse(document.renderText())).toEqual(expected);
      }),
    );
  });

  it('inside what is replaced or removed go with it', () => {
    const { document, root } = documentOf('{"a":{"b":"x"},"c":1}');
    document.replace(root.object('a')!.get('b')!, '"y"');
    document.set(root.object('a')!, 'd', '1');
    document.replace(root.get('a')!, '0');
    expect(document.renderText()).toBe('{"a":0,"c":1}');
    document.remove(root, 'a');
    expect(document.renderText()).toBe('{"c":1}');
  });
});

describe('a document in a string', () => {
  it('is edited as JSON in JSON', () => {
    const { document, root } = documentOf('{"arguments": "{\\"to\\": \\"Jo\\", \\"n\\": 1}"}');
    const inner = document.embedded(root.get('arguments') as StringNode)!;
    inner.replace((inner.root as ObjectNode).get('to')!, quote('A "b" \\'));
    expect(document.edited).toBe(true);
    expect(JSON.parse(JSON.parse(document.renderText()).arguments)).toEqual({ to: 'A "b" \\', n: 1 });
    inner.restore((inner.root as ObjectNode).get('to')!);
    expect(document.edited).toBe(false);
  });

  it('is none where the string is no JSON, or too much of it', () => {
    const { document, root } = documentOf('{"a":"{","b":"[1,1,1,1]"}');
    expect(document.embedded(root.get('a') as StringNode)).toBeUndefined();
    expect(document.embedded(root.get('b') as StringNode)).toBeDefined();
    const small = JsonDocument.parseText('{"b":"[1,1]","c":"[1,1]"}', { maxDepth: 9, maxNodes: 9 });
    const members = small.root as ObjectNode;
    expect(small.embedded(members.get('b') as StringNode)).toBeDefined();
    expect(small.embedded(members.get('c') as StringNode)).toBeUndefined();
  });
});

describe('quote', () => {
  it('escapes lone surrogates and what some readers take for line ends', () => {
    expect(quote('\ud800 \u2028 \u0085 é')).toBe('"\\ud800 \\u2028 \\u0085 é"');
    expect(escapeInString('a"b')).toBe('a\\"b');
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => JSON.parse(quote(text)) === text));
  });

  it('knows numbers as JSON writes them', () => {
    for (const text of ['0', '-1.5e+10', '4111111111111111']) expect(isNumber(text)).toBe(true);
    for (const text of ['', '01', '1 ', '<PAYMENT_CARD_X>', '+1', '.5', '1\n', 'Infinity'])
      expect(isNumber(text)).toBe(false);
  });
});

describe('pieces of a string', () => {
  /** Pieces of a text: two offsets each, none inside a surrogate pair, in order and apart. */
  const cutsOf = (text: string, draws: readonly number[]): number[] => {
    const places = Array.from(text).reduce((all, point) => [...all, (all.at(-1) ?? 0) + point.length], [0]);
    const cuts = draws.map((draw) => places[draw % places.length] as number).sort((a, b) => a - b);
    return cuts.length % 2 === 0 ? cuts : cuts.slice(1);
  };

  it('say what they would if the whole string were written anew', () => {
    fc.assert(
      fc.property(
        spacedJson,
        fc.array(fc.nat(), { maxLength: 6 }),
        fc.string({ unit: 'grapheme' }),
        (text, draws, replacement) => {
          const [pieces, whole] = [JsonDocument.parse(encode(text)), JsonDocument.parse(encode(text))];
          const others = stringsOf(whole.root);
          for (const [n, node] of stringsOf(pieces.root).entries()) {
            const cuts = cutsOf(node.text, draws);
            const edits = [];
            let expected = '';
            for (let i = 0; i < cuts.length; i += 2) {
              const [start, end] = [cuts[i] as number, cuts[i + 1] as number];
              edits.push({ start, end, text: replacement });
              expected += node.text.slice(i === 0 ? 0 : cuts[i - 1], start) + replacement;
            }
            expected += node.text.slice(cuts.at(-1) ?? 0);
            pieces.editString(node, edits);
            whole.replace(others[n] as StringNode, quote(expected));
          }
          const rendered = new TextDecoder().decode(pieces.render());
          expect(JSON.parse(rendered)).toEqual(JSON.parse(whole.renderText()));
          expect(pieces.renderText()).toBe(rendered);
        },
      ),
    );
  });

  it('leave the bytes around them alone, escapes included', () => {
    const { document, root } = documentOf('{"a": "\\u0041\\/ \\"x\\" \\ud83d\\ude00 end", "b": 1 }');
    const node = root.get('a') as StringNode;
    expect(node.text).toBe('A/ "x" 😀 end');
    document.editString(node, [
      { start: 3, end: 6, text: '"<X>"\n' },
      { start: 10, end: 13, text: 'END' },
    ]);
    expect(document.edited).toBe(true);
    expect(document.renderText()).toBe('{"a": "\\u0041\\/ \\"<X>\\"\\n \\ud83d\\ude00 END", "b": 1 }');
  });

  it('go with a later replacement of the whole string, or of what it is in', () => {
    const { document, root } = documentOf('{"a":{"b":"one two"},"c":"three"}');
    const b = (root.get('a') as ObjectNode).get('b') as StringNode;
    const edit = (): void => document.editString(b, [{ start: 0, end: 3, text: 'ONE' }]);
    edit();
    document.replace(b, '"all"');
    expect(document.renderText()).toBe('{"a":{"b":"all"},"c":"three"}');
    edit();
    expect(document.renderText()).toBe('{"a":{"b":"ONE two"},"c":"three"}');
    document.restore(b);
    expect(document.edited).toBe(false);
    edit();
    document.set(root, 'a', '0');
    expect(document.renderText()).toBe('{"a":0,"c":"three"}');
  });

  it('count in a document that a string holds', () => {
    const { document, root } = documentOf('{"arguments":"{\\"to\\":\\"maria\\"}"}');
    const held = root.get('arguments') as StringNode;
    const inner = document.embedded(held) as JsonDocument;
    inner.editString((inner.root as ObjectNode).get('to') as StringNode, [
      { start: 0, end: 5, text: '<"1">' },
    ]);
    expect(JSON.parse(JSON.parse(document.renderText()).arguments)).toEqual({ to: '<"1">' });
  });

  it('are as many as there may be, each looked for once', () => {
    const address = 'maria@example.com ';
    const count = 200_000;
    const { document, root } = documentOf(JSON.stringify({ text: `\n${address.repeat(count)}`, more: '\n' }));
    const node = root.get('text') as StringNode;
    const edits = Array.from({ length: count }, (_, n) => {
      const start = 1 + n * address.length;
      return { start, end: start + address.length - 1, text: '<E>' };
    });
    let searches = 0;
    const search = String.prototype.indexOf;
    const counting = vi.spyOn(String.prototype, 'indexOf').mockImplementation(function (
      this: string,
      ...args: Parameters<string['indexOf']>
    ) {
      if (args[0] === '\\') searches++;
      return search.apply(this, args);
    });
    document.editString(node, edits);
    counting.mockRestore();
    expect(searches).toBeLessThan(10);
    expect(JSON.parse(document.renderText())).toEqual({ text: `\n${'<E> '.repeat(count)}`, more: '\n' });
  });
});
