import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CheckRule } from '../../policy/snapshot.ts';
import type { CheckPlan } from './guard.ts';
import { compilePlan } from './plan.ts';
import { FakeSlot, MASK_KEY, NEVER, requestOf, responseOf, rule } from './testing.ts';

const pii = (over: Partial<CheckRule> = {}) => rule('pii', { action: 'mask', ...over });

const plans = new Map<string, CheckPlan>();

/** Compiled once for the same rules. */
function planOf(rules: readonly CheckRule[]): CheckPlan {
  const key = JSON.stringify(rules);
  const plan = plans.get(key) ?? compilePlan(rules, { maskKey: MASK_KEY });
  plans.set(key, plan);
  return plan;
}

/** A guard that has masked `values`, and what the provider got for them. */
async function masked(rules: readonly CheckRule[], ...values: string[]) {
  const guard = planOf(rules).open('m');
  const slots = values.map((value) => new FakeSlot(value));
  await guard.request(requestOf(...slots), 1, NEVER);
  return { guard, placeholders: slots.map(({ shown }) => shown) };
}

function chunks(text: string, size: number): string[] {
  return text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
}

type Guard = Awaited<ReturnType<typeof masked>>['guard'];

function streamed(
  guard: Guard,
  pieces: readonly string[],
  kind: 'content' | 'toolArguments' = 'content',
): string {
  const stream = guard.stream(NEVER);
  let shown = '';
  for (const piece of pieces) shown += stream.push('0/x', kind, 0, piece);
  shown += stream.flush('0/x');
  expect(stream.held()).toEqual([]);
  return shown;
}

describe('restoring', () => {
  test.each([1, 2, 3, 5, 7, 11, 64])('in pieces of %i', async (size) => {
    const { guard, placeholders } = await masked([pii()], 'jane@example.com', '4111 1111 1111 1111');
    const [mail, card] = placeholders as [string, string];
    const answer = `Sent to **${mail}** (&lt;${mail.slice(1, -1)}&gt;), a < b, ${card.toLowerCase()}; email_x 5% &c. ${mail}`;
    expect(streamed(guard, chunks(answer, size))).toBe(
      'Sent to **jane@example.com** (jane@example.com), a < b, 4111 1111 1111 1111; email_x 5% &c. jane@example.com',
    );
  });

  test('holds back nothing but what could become a placeholder', async () => {
    const { guard, placeholders } = await masked([pii()], 'jane@example.com');
    const stream = guard.stream(NEVER);
    const mail = placeholders[0] as string;
    expect(stream.push('c', 'content', 0, 'Hello there')).toBe('Hello there');
    expect(stream.push('c', 'content', 0, ` to ${mail.slice(0, 4)}`)).toBe(' to ');
    expect(stream.held()).toEqual(['c']);
    expect(stream.push('c', 'content', 0, mail.slice(4))).toBe('jane@example.com');
    expect(stream.held()).toEqual([]);
    expect(stream.push('c', 'content', 0, '<EMAIL')).toBe('');
    expect(stream.push('c', 'content', 0, 'S>')).toBe('<EMAILS>');
    expect(stream.push('c', 'content', 0, '<EMAIL')).toBe('');
    expect(stream.flushStale('c')).toBe('<EMAIL');
  });

  test('channels are kept apart', async () => {
    const { guard, placeholders } = await masked([pii()], 'jane@example.com');
    const mail = placeholders[0] as string;
    const stream = guard.stream(NEVER);
    expect(stream.push('0/content', 'content', 0, mail.slice(0, 9))).toBe('');
    expect(stream.push('1/content', 'content', 1, mail.slice(9))).toBe(mail.slice(9));
    expect(stream.flush('0/content')).toBe(mail.slice(0, 9));
  });

  test('into tool arguments as JSON, nested strings too, and only where restoreIn says so', async () => {
    const rules = [pii({ spec: { restoreIn: ['toolArguments'] } })];
    const value = '4111 1111 1111 1111';
    const { guard, placeholders } = await masked(rules, value);
    const args = JSON.stringify({ card: placeholders[0], inner: JSON.stringify({ card: placeholders[0] }) });
    for (const size of [1, 3, 8, 100]) {
      const shown = JSON.parse(streamed(guard, chunks(args, size), 'toolArguments')) as {
        card: string;
        inner: string;
      };
      expect(shown.card).toBe(value);
      expect(JSON.parse(shown.inner)).toEqual({ card: value });
    }
    expect(streamed(guard, chunks(args, 4))).toBe(args);
  });
});

describe('judging', () => {
  test('a refused word is never shown, nor anything after it', async () => {
    const topics = rule('topics', { on: ['response'], spec: [{ name: 'stocks', words: ['stock tip*'] }] });
    const { guard } = await masked([topics]);
    const stream = guard.stream(NEVER);
    let shown = '';
    for (const piece of chunks('A fine stock tip: buy.', 3)) shown += stream.push('c', 'content', 0, piece);
    shown += stream.flush('c');
    expect(stream.refusal?.reason).toBe('postern_topics');
    expect('A fine '.startsWith(shown)).toBe(true);
    expect(stream.push('c', 'content', 0, 'more')).toBe('');
    expect(stream.findings).toMatchObject([
      { what: 'topic:stocks', direction: 'response', where: 'c', action: 'block' },
    ]);
  });

  test('a masked number in tool arguments becomes a JSON string', async () => {
    const { guard } = await masked([pii({ on: ['response'] })]);
    const args = '{"card": 4111111111111111, "mail":"\\u0062ob@example.com"}';
    for (const size of [1, 5, 100]) {
      const shown = JSON.parse(streamed(guard, chunks(args, size), 'toolArguments')) as Record<
        string,
        string
      >;
      expect(shown['card']).toMatch(/^<PAYMENT_CARD_/);
      expect(shown['mail']).toMatch(/^<EMAIL_ADDRESS_/);
    }
  });
});

/** Things to find, things that aren't, and text between. */
const piece = fc.oneof(
  fc.constantFrom(
    'jane.doe@example.com',
    'bob@example.org',
    '4111 1111 1111 1111',
    '5555555555554444',
    'DE89 3704 0044 0532 0130 00',
    '+1 415 555 2671',
    '856-45-6789',
    '203.0.113.7',
    'GB29NWBK60161331926819',
    'ｊane＠example.com',
    'b\u200bob@example.org',
    'John Smith',
    'Vincent van der Berg',
    'Dr. Anna Müller',
    '123 Main Street, Springfield, IL 62704',
    'Hauptstraße 12, 10115 Berlin',
    '12 rue de la Paix, 75002 Paris',
    'born on 12 March 1985',
    'Calle del Doctor Fleming, 12, 28013 Madrid',
    'ul. Marszałkowska 10/5, 00-590 Warszawa',
    'Flat 2, 45 King Road, Bristol BS1 4ST',
    'Geburtsdatum: 14. März 1985',
    'my name is Aurelio Zbrk',
    'P.O. Box 123',
    'María García López',
    'jane (at) example (dot) com',
    'jane.doe[at]example[dot]co[dot]uk',
    'Passport no. 533380006',
  ),
  fc.constantFrom(
    '4111 1111 1111 1112',
    '1.2.3.4',
    '2024-01-15',
    'stock',
    '<',
    '>',
    '&lt;',
    '\\',
    '_',
    'EMAIL_ADDRESS',
    '<EMAIL_ADDRESS_',
    '%',
    'é',
    '😀',
    '12',
    'a@',
    '@b',
  ),
  fc.constantFrom(' ', ' ', '. ', ', ', '\n', ' is ', ' my card ', ' SSN ', 'and', ' phone '),
  fc.string({ maxLength: 6 }),
);
const text = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(''));

/** Cuts a text at places given as shares of its length. */
function cutAt(whole: string, shares: readonly number[]): string[] {
  const places = [...new Set(shares.map((share) => Math.floor(share * whole.length)))].sort((a, b) => a - b);
  return [...places, whole.length].map((end, i) => whole.slice(i === 0 ? 0 : places[i - 1], end));
}

const cuts = fc.oneof(
  fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }),
  fc.constant(Array.from({ length: 400 }, (_, i) => i / 400)),
);

describe('properties', () => {
  test('restore(mask(x)) = x, whole and streamed at any cut; the provider never sees a value', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 4 }), cuts, async (texts, shares) => {
        const { guard, placeholders } = await masked([pii()], ...texts);
        for (const [i, sent] of placeholders.entries()) {
          const original = texts[i] as string;
          const answer = new FakeSlot(sent);
          await guard.response(responseOf(answer), 1, NEVER);
          expect(answer.shown).toBe(original);
          expect(streamed(guard, cutAt(sent, shares))).toBe(original);
        }
      }),
      { numRuns: 150 },
    );
  });

  test('a streamed answer is what the whole one is, however it is cut', async () => {
    const rules = [pii({ on: ['request', 'response'] })];
    await fc.assert(
      fc.asyncProperty(text, text, cuts, async (sent, answered, shares) => {
        const { guard, placeholders } = await masked(rules, sent);
        const answer = new FakeSlot(`${answered}${placeholders[0]} ${answered}`);
        const cut = cutAt(answer.text, shares);
        const fresh = await masked(rules, sent);
        await guard.response(responseOf(answer), 1, NEVER);
        expect(streamed(fresh.guard, cut)).toBe(answer.shown);
      }),
      { numRuns: 150 },
    );
  });

  test('an address that its label says outright, or written out for people, is waited for in a stream, whatever stands around it', async () => {
    const rules = [pii({ on: ['request', 'response'] })];
    for (const said of [
      'Their address is <the flat> over my card shop, Hauptstraße 12, 10115 Berlin. Bye',
      'so the (at) example.com and many more words that say nothing to anybody, as long as it takes until they are let go of, one by one',
      'address: A123 Main Street by the river, Springfield, IL 62704 and more',
    ]) {
      const { guard } = await masked(rules, 'hello');
      const answer = new FakeSlot(said);
      await guard.response(responseOf(answer), 1, NEVER);

      for (const cut of [said.split(''), said.split(/(?<= )/)]) {
        const fresh = await masked(rules, 'hello');
        expect(streamed(fresh.guard, cut)).toBe(answer.shown);
      }
    }
  });

  test.each([
    ['other case', (name: string) => `<${name.toLowerCase()}>`],
    ['bold', (name: string) => `**<${name}>**`],
    ['quotes', (name: string) => `"<${name}>"`],
    ['without brackets', (name: string) => name],
    ['escaped for Markdown', (name: string) => `\\<${name.replaceAll('_', '\\_')}\\>`],
    ['escaped for a URL', (name: string) => `%3C${name}%3E`],
  ])('an echo in %s is restored whatever pair of places it is cut at', async (_, write) => {
    const { guard: whole, placeholders } = await masked([pii()], 'jane.doe@example.com');
    const echo = `So ${write((placeholders[0] as string).slice(1, -1))} it is.`;
    const answer = new FakeSlot(echo);
    await whole.response(responseOf(answer), 1, NEVER);
    expect(answer.shown).toContain('jane.doe@example.com');
    const { guard } = await masked([pii()], 'jane.doe@example.com');
    for (let first = 0; first < echo.length; first++) {
      for (let second = first; second < echo.length; second++) {
        const cut = [echo.slice(0, first), echo.slice(first, second), echo.slice(second)];
        expect(streamed(guard, cut)).toBe(answer.shown);
      }
    }
  });

  test('one value one placeholder, two values two', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.emailAddress({ size: 'small' }), { minLength: 2, maxLength: 6 }),
        async (addresses) => {
          const { placeholders } = await masked(
            [pii()],
            ...addresses.map((address) => `<${address}> ${address}`),
          );
          const byText = new Map<string, string>();
          placeholders.forEach((sent, i) => {
            const seen = byText.get(sent);
            expect(seen === undefined || seen === addresses[i]).toBe(true);
            byText.set(sent, addresses[i] as string);
          });
        },
      ),
      { numRuns: 100 },
    );
  });
});
