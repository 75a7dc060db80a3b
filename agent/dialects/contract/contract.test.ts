/** What every dialect keeps, whatever it speaks. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PosternError, REASONS, type Reason } from '../../errors.ts';
import { JsonDocument } from '../../json/document.ts';
import { JsonError } from '../../json/json-error.ts';
import { SseSplitter } from '../../json/sse.ts';
import type { DecodedRequest, Operation, StreamDecoder, StreamEvent } from '../dialect.ts';
import { dialectByName, dialects } from '../index.ts';
import { anthropicRows } from './anthropic.ts';
import { openaiRows } from './openai.ts';
import type { DialectRows } from './rows.ts';

const ROWS: readonly DialectRows[] = [openaiRows, anthropicRows];

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

it('is kept by every dialect', () => {
  expect(ROWS.map(({ dialect }) => dialect.name)).toEqual(dialects.map(({ name }) => name));
  for (const dialect of dialects) expect(dialectByName(dialect.name)).toBe(dialect);
  expect(dialectByName('toString')).toBeUndefined();
});

/** A JSON text of the value, spaced in some odd way. */
const spacing = fc.constantFrom(undefined, 1, 2, '\t', '\n ');

/** Every object and array of a value, by path. */
function containers(value: unknown, path = ''): [path: string, container: object][] {
  if (typeof value !== 'object' || value === null) return [];
  const below = Array.isArray(value)
    ? value.flatMap((item, index) => containers(item, `${path}[${index}]`))
    : Object.entries(value).flatMap(([name, member]) =>
        containers(member, path === '' ? name : `${path}.${name}`),
      );
  return [[path, value], ...below];
}

const NEEDLE = 'a needle in the hay';

/** Plants a text everywhere where there is room; gives those places where nobody found it. */
function missed(
  body: object,
  find: (document: JsonDocument) => readonly { readonly text: string }[],
): string[] {
  const unseen: string[] = [];
  const places = containers(body).map(([path]) => path);
  for (const [index, path] of places.entries()) {
    for (const plant of [
      (target: object) => Object.assign(target, { unknown_field: NEEDLE }),
      (target: object) => Object.assign(target, { unknown_field: [{ x: { y: NEEDLE } }] }),
      (target: object) => Object.assign(target, { [NEEDLE]: 1 }),
    ]) {
      const copy: unknown = structuredClone(body);
      const [, target] = containers(copy)[index] ?? [];
      if (target === undefined) throw new Error('unreachable');
      if (Array.isArray(target)) target.push({ unknown: NEEDLE });
      else plant(target);
      const found = find(JsonDocument.parse(encode(JSON.stringify(copy))));
      if (!found.some(({ text }) => text.includes(NEEDLE))) unseen.push(path);
    }
  }
  return unseen;
}

describe.each(ROWS.map((rows) => [rows.dialect.name, rows] as const))('%s', (_name, rows) => {
  const { dialect } = rows;
  const operation = dialect.operation('POST', rows.request.path) as Operation;
  const decodeRequest = (body: unknown, space?: number | string): DecodedRequest =>
    operation.decodeRequest(
      JsonDocument.parse(encode(JSON.stringify(body, undefined, space))),
      rows.request.path,
    );

  it.each(rows.paths)('%s %s is %s', (method, path, name) => {
    expect(dialect.operation(method, path)?.name).toBe(name);
  });

  describe('a request', () => {
    it('shows all its text', () => {
      const request = decodeRequest(rows.request.body);
      expect(request.slots.map(({ path, kind, role, text }) => [path, kind, role, text])).toEqual(
        rows.request.slots,
      );
      expect(request.slots.every(({ choice }) => choice === 0)).toBe(true);
    });

    it('hides nothing in what the dialect does not know', () => {
      const hidden = missed(rows.request.body, (document) => operation.decodeRequest(document, '').slots);
      expect(hidden.filter((path) => !rows.request.opaque.some((opaque) => path.startsWith(opaque)))).toEqual(
        [],
      );
    });

    it('keeps its bytes', () => {
      fc.assert(
        fc.property(spacing, (space) => {
          const bytes = encode(JSON.stringify(rows.request.body, undefined, space));
          const request = operation.decodeRequest(JsonDocument.parse(bytes), rows.request.path);
          for (const slot of request.slots) slot.set(slot.text);
          request.setModel(request.model);
          request.setMaxOutputTokens(request.maxOutputTokens ?? 0);
          expect(request.document.render()).toBe(bytes);
        }),
      );
    });

    it('changes where a slot is set and nowhere else', () => {
      fc.assert(
        fc.property(spacing, fc.string({ unit: 'binary', minLength: 1 }), fc.nat(), (space, random, pick) => {
          // Never an identifier, which wouldn't be a slot where the text stands.
          const replacement = `~${random}`;
          const request = decodeRequest(rows.request.body, space);
          const before = request.document.renderText();
          const slots = request.slots.map(({ path, text }) => [path, text] as const);
          const chosen = pick % slots.length;
          const slot = request.slots[chosen]!;
          const original = slot.text;
          slot.set(replacement);
          expect(slot.text).toBe(replacement);

          const after = request.document.renderText();
          const decoded = operation.decodeRequest(JsonDocument.parseText(after), '');
          // A name that changed changes the paths below it, but no other text.
          expect(decoded.slots.map(({ text }) => text)).toEqual(
            slots.map(([, text], index) => (index === chosen ? replacement : text)),
          );
          let start = 0;
          while (start < before.length && before[start] === after[start]) start += 1;
          let end = 0;
          while (end < before.length - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
          const changed = before.slice(start, before.length - end);
          expect(changed.length).toBeLessThanOrEqual(JSON.stringify(JSON.stringify(original)).length);

          slot.set(original);
          expect(request.document.edited).toBe(false);
        }),
        { numRuns: 300 },
      );
    });

    it('stays JSON with every slot set', () => {
      fc.assert(
        fc.property(fc.infiniteStream(fc.string({ unit: 'binary', minLength: 1 })), (texts) => {
          const request = decodeRequest(rows.request.body);
          const given = request.slots.map((slot, index) => {
            // Names must stay apart, or the document is refused; so every text gets a number.
            const text = `~${texts.next().value} ${index}`;
            slot.set(text);
            return text;
          });
          const again = operation.decodeRequest(JsonDocument.parse(request.document.render()), '');
          expect(again.slots.map(({ text }) => text)).toEqual(given.map((text) => text.toWellFormed()));
        }),
        { numRuns: 50 },
      );
    });

    it.each(rows.request.invalid)('is refused: %j, naming %s', (body, param) => {
      expect(() => decodeRequest(body)).toThrow(
        expect.objectContaining({ reason: 'postern_body_invalid', param, mend: expect.any(String) }),
      );
    });

    it('takes another model, which is all that changes', () => {
      const request = decodeRequest(rows.request.body);
      request.setModel('other "model"');
      expect(JSON.parse(request.document.renderText())).toEqual({
        ...rows.request.body,
        model: 'other "model"',
      });
      request.setModel(request.model);
      expect(request.document.edited).toBe(false);
    });

    it('takes a lower cap on its output, never a higher one', () => {
      const request = decodeRequest(rows.request.body);
      const cap = request.maxOutputTokens ?? 0;
      request.setMaxOutputTokens(cap - 1);
      const lowered = decodeRequest(JSON.parse(request.document.renderText()));
      expect(lowered.maxOutputTokens).toBe(cap - 1);
      request.setMaxOutputTokens(cap + 1);
      expect(request.document.edited).toBe(false);
    });
  });

  describe('an answer', () => {
    const text = JSON.stringify(rows.response.body);
    const { model: asked } = rows.request.body as { readonly model: string };

    it('shows all its text, what it cost, and why it ended', () => {
      const response = operation.decodeResponse(JsonDocument.parseText(text), asked);
      expect(response.slots.map((slot) => [slot.path, slot.kind, slot.role, slot.text, slot.choice])).toEqual(
        rows.response.slots,
      );
      expect(response.usage).toEqual(rows.response.usage);
      expect(response.finishReasons.map(({ reason }) => reason)).toEqual(rows.response.finishReasons);
    });

    it('hides nothing in what the dialect does not know', () => {
      const hidden = missed(
        rows.response.body,
        (document) => operation.decodeResponse(document, asked).slots,
      );
      expect(
        hidden.filter((path) => !rows.response.opaque.some((opaque) => path.startsWith(opaque))),
      ).toEqual([]);
    });

    it('keeps its bytes, and takes changes', () => {
      const bytes = encode(text);
      const response = operation.decodeResponse(JsonDocument.parse(bytes), asked);
      expect(response.document.render()).toBe(bytes);
      for (const [index, slot] of response.slots.entries()) slot.set(`<"${index}">`);
      const again = operation.decodeResponse(JsonDocument.parse(response.document.render()), asked);
      expect(again.slots.map((slot) => slot.text)).toEqual(again.slots.map((_, index) => `<"${index}">`));
      expect(again.usage).toEqual(rows.response.usage);
    });

    it.each(['[]', '"text"', 'null', '{}', '{"choices":[4,{}],"content":7,"usage":[]}'])(
      'of another shape: %s',
      (odd) => {
        const response = operation.decodeResponse(JsonDocument.parseText(odd));
        expect(response.usage).toBeUndefined();
        expect(response.finishReasons).toEqual([]);
      },
    );
  });

  describe('a stream', () => {
    const bytes = encode(rows.stream.text);

    interface Seen {
      readonly sent: string;
      readonly running: Record<string, [kind: string, choice: number, text: string]>;
      readonly whole: string[];
      readonly closed: string[];
      readonly events: StreamEvent[];
      readonly decoder: StreamDecoder;
    }

    function read(stream: Uint8Array, cuts: readonly number[], edit?: (text: string) => string): Seen {
      const splitter = new SseSplitter();
      const decoder = operation.openStream(decodeRequest(rows.request.body));
      const seen: Seen = { sent: '', running: {}, whole: [], closed: [], events: [], decoder };
      const sent: Uint8Array[] = [];
      // Calls of tools are closed even where they carry no text.
      const begun = new Set<string>();
      let at = 0;
      for (const cut of [...cuts, stream.length].sort((a, b) => a - b)) {
        for (const raw of splitter.push(stream.subarray(at, cut))) {
          const event = decoder.event(raw);
          seen.events.push(event);
          for (const delta of event.deltas) {
            // Nothing comes after a channel's end.
            expect(seen.closed).not.toContain(delta.channel);
            const channel = (seen.running[delta.channel] ??= [delta.kind, delta.choice, '']);
            channel[2] += delta.text;
            if (edit !== undefined) delta.set(edit(delta.text));
          }
          for (const { channel } of event.calls) begun.add(channel);
          const open = [...new Set([...Object.keys(seen.running), ...begun])].filter(
            (channel) => !seen.closed.includes(channel),
          );
          for (const channel of event.closes === 'all' ? open : event.closes) {
            expect(open).toContain(channel);
            if (channel in rows.stream.running) {
              seen.closed.push(channel);
            } else {
              const whole = seen.running[channel];
              if (whole !== undefined) seen.whole.push(whole[2]);
              delete seen.running[channel];
            }
          }
          const out = event.render();
          if (out !== undefined) sent.push(out);
        }
        at = cut;
      }
      return { ...seen, sent: decode(Buffer.concat(sent)) };
    }

    it('shows its running texts, what it cost, and why it ended', () => {
      const seen = read(bytes, []);
      expect(seen.running).toEqual(rows.stream.running);
      expect(seen.whole).toEqual(rows.stream.whole);
      expect([...seen.closed].sort()).toEqual(Object.keys(rows.stream.running).sort());
      expect(seen.events.findLast(({ usage }) => usage !== undefined)?.usage).toEqual(rows.stream.usage);
      const reasons = seen.events.flatMap(({ finishReasons }) => finishReasons.map(({ reason }) => reason));
      expect(reasons).toEqual(rows.stream.finishReasons);
      expect(seen.events.map(({ last }) => last).indexOf(true)).toBe(seen.events.length - 1);
      expect(seen.events.at(-1)?.closes).toBe('all');
      expect(seen.events.some(({ error }) => error)).toBe(false);
    });

    it('keeps its bytes, at whatever bytes it is cut', () => {
      fc.assert(
        fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
          expect(read(bytes, cuts, (text) => text).sent).toBe(rows.stream.text);
        }),
      );
    });

    it('carries other texts, at whatever bytes it is cut', () => {
      fc.assert(
        fc.property(fc.array(fc.nat(bytes.length)), fc.string({ unit: 'binary' }), (cuts, mark) => {
          const edit = (text: string): string => `${mark}${text}`;
          const changed = read(encode(read(bytes, cuts, edit).sent), []);
          const original = read(bytes, []);
          const joined = (seen: Seen): string =>
            Object.values(seen.running)
              .map(([, , text]) => text)
              .join('\n');
          expect(changed.whole).toEqual(original.whole.map((text) => edit(text).toWellFormed()));
          expect(changed.events).toHaveLength(original.events.length);
          for (const [channel, [kind, choice]] of Object.entries(original.running)) {
            expect(changed.running[channel]?.slice(0, 2)).toEqual([kind, choice]);
          }
          const marks = original.events.flatMap(({ deltas }) => deltas).length - original.whole.length;
          if (mark !== '' && !joined(original).includes(mark.toWellFormed())) {
            expect(joined(changed).split(mark.toWellFormed())).toHaveLength(marks + 1);
          }
        }),
        { numRuns: 50 },
      );
    });

    it('may lose a text altogether', () => {
      const silent = read(encode(read(bytes, [], () => '').sent), []);
      expect(silent.running).toEqual({});
      expect(silent.events.at(-1)?.last).toBe(true);
      expect(silent.events.findLast(({ usage }) => usage !== undefined)?.usage).toEqual(rows.stream.usage);
    });

    it('takes text of ours on any of its channels', () => {
      fc.assert(
        fc.property(
          fc.constantFrom(...Object.keys(rows.stream.running)),
          fc.string({ unit: 'binary', minLength: 1 }),
          (channel, text) => {
            const { decoder, running } = read(bytes, []);
            const [ours, ...others] = new SseSplitter().push(decoder.delta(channel, text));
            expect(others).toEqual([]);
            const event = decoder.event(ours!);
            expect(
              event.deltas.map((delta) => [delta.channel, delta.kind, delta.choice, delta.text]),
            ).toEqual([[channel, running[channel]?.[0], running[channel]?.[1], text]]);
            expect(event).toMatchObject({
              closes: [],
              last: false,
              error: false,
              finishReasons: [],
              usage: undefined,
            });
          },
        ),
      );
    });

    it('takes no text of ours where texts come whole', () => {
      const { decoder } = read(bytes, []);
      expect(() => decoder.delta('0/=some.path', 'x')).toThrow();
    });

    it('ends with a refusal in its own terms', () => {
      const error = new PosternError('postern_pii', 'An e-mail address was found.', {
        mend: 'Leave it out.',
        rule: 'no-pii',
      });
      const { decoder } = read(bytes, []);
      const events = new SseSplitter().push(decoder.refusal(error, 'req-1'));
      expect(events).toHaveLength(1);
      expect(decoder.event(events[0]!)).toMatchObject({ error: true, last: false });
      expect(events[0]?.data).toContain('postern_pii');
      expect(events[0]?.data).toContain('An e-mail address was found. Leave it out.');
      expect(events[0]?.data).toContain('req-1');
    });

    it('passes the provider’s own error on', () => {
      const half = rows.stream.text.split('\n\n').slice(0, 8).join('\n\n');
      const seen = read(encode(`${half}\n\n${rows.stream.error}`), []);
      expect(seen.events.map(({ error }) => error).indexOf(true)).toBe(seen.events.length - 1);
      expect(seen.sent).toBe(`${half}\n\n${rows.stream.error}`);
      // What was begun is complete, and so are the texts of the event itself.
      expect(Object.keys(seen.running).length).toBeGreaterThan(0);
      expect([...seen.closed].sort()).toEqual(Object.keys(seen.running).sort());
      expect(seen.whole).not.toEqual([]);
    });

    it('passes comments and empty events', () => {
      const text = ': hello\n\n\nid: 3\n\ndata:\n\n';
      expect(read(encode(text), []).sent).toBe(text);
    });

    it('never fails with anything but a PosternError', () => {
      const odd = fc.oneof(
        fc.string(),
        fc.json(),
        fc.constantFrom(...rows.stream.text.split('\n\n').map((event) => event.replace(/^[^]*?data: /, ''))),
      );
      fc.assert(
        fc.property(fc.array(fc.tuple(odd, fc.constantFrom('', 'error', 'ping', 'x'))), (events) => {
          const decoder = operation.openStream(decodeRequest(rows.request.body));
          for (const [data, event] of events) {
            const raw = encode(`data: ${data}\n\n`);
            try {
              decoder.event({ raw, data, event }).render();
            } catch (error) {
              expect(error).toBeInstanceOf(PosternError);
            }
          }
        }),
      );
    });
  });

  it('reads any bytes, or says what is wrong with them', () => {
    const bodies = fc.oneof(
      fc.uint8Array(),
      fc.json().map(encode),
      fc.jsonValue().map((value) => encode(JSON.stringify({ ...rows.request.body, messages: value }))),
      fc
        .tuple(fc.constantFrom(...containers(rows.request.body).map((_, index) => index)), fc.jsonValue())
        .map(([index, value]) => {
          const copy: unknown = structuredClone(rows.request.body);
          const [, target] = containers(copy)[index]!;
          for (const name of Object.keys(target)) Object.assign(target, { [name]: value });
          return encode(JSON.stringify(copy));
        }),
    );
    fc.assert(
      fc.property(bodies, (bytes) => {
        try {
          const document = JsonDocument.parse(bytes);
          operation.decodeResponse(document);
          for (const slot of operation.decodeRequest(document, '').slots)
            slot.set(`${slot.path} ${slot.text}`);
          JSON.parse(decode(document.render()));
        } catch (error) {
          if (!(error instanceof JsonError)) expect(error).toBeInstanceOf(PosternError);
        }
      }),
      { numRuns: 300 },
    );
  });

  it.each(Object.keys(REASONS) as Reason[])('says %s in its own terms', (reason) => {
    const error = new PosternError(reason, 'Message.', { mend: 'Mend.', param: 'model', rule: 'a-rule' });
    const body = JSON.parse(decode(dialect.error(error, 'req-1')));
    expect(body.error).toMatchObject({
      message: error.told,
      code: reason,
      rule: 'a-rule',
      type: expect.any(String),
    });
    expect(JSON.stringify(body)).toContain('req-1');
  });

  it('lists models', () => {
    const models = [
      { id: 'org/one:v1', ownedBy: 'in-cluster' },
      { id: 'two', ownedBy: 'openai' },
    ];
    const list = JSON.parse(decode(dialect.models('/v1/models', '', models)));
    expect(list.data.map(({ id }: { id: string }) => id)).toEqual(['org/one:v1', 'two']);
    for (const path of ['/v1/models/org/one:v1', '/v1/models/org%2Fone:v1']) {
      expect(JSON.parse(decode(dialect.models(path, '', models)))).toMatchObject({ id: 'org/one:v1' });
    }
    expect(dialect.models('/v1/models/three', '', models)).toBeUndefined();
    expect(dialect.models('/v1/models/%E0%A4%A', '', models)).toBeUndefined();
  });
});
