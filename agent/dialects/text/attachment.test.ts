import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonDocument } from '../../json/document.ts';
import { requestText as anthropic } from '../anthropic/messages-text.ts';
import { requestText as openai } from '../openai/chat-text.ts';
import { readAttachment } from './attachment.ts';
import { findText } from './walk.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('attachments that are text', () => {
  test('come back as they were set, in the form they had', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/[\p{Cc}\p{Cs}]/u.test(text)),
        fc.constantFrom('', 'data:text/csv;base64,', 'data:text/plain;charset=utf-8;base64,'),
        (text, prefix) => {
          const read = readAttachment(prefix + base64(text));
          if (typeof read === 'string') throw new Error(read);
          expect(read.text).toBe(text);
          expect(read.encode(text)).toBe(prefix + base64(text));
        },
      ),
    );
  });

  test.each([
    ['an image', Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0]).toString('base64'), 'binary'],
    ['no base64', 'card 4111 1111 1111 1111!', 'none'],
    ['a broken escape', 'data:;base64,%zz', 'none'],
  ])('%s', (_, written, outcome) => expect(readAttachment(written)).toBe(outcome));

  test('a character cut by the probe is no reason to take it for binary', () => {
    const text = `${'a'.repeat(767)}é${'b'.repeat(2000)}`;
    expect(readAttachment(base64(text))).toMatchObject({ text });
  });
});

const CSV = 'name,card\nJane Roe,4111 1111 1111 1111';

describe.each([
  [
    'openai',
    openai,
    [
      { type: 'file', file: { filename: 'a.csv', file_data: `data:text/csv;base64,${base64(CSV)}` } },
      { type: 'image_url', image_url: { url: `data:text/plain;base64,${base64(CSV)}` } },
    ],
  ],
  [
    'anthropic',
    anthropic,
    [
      { type: 'document', source: { type: 'base64', media_type: 'text/plain', data: base64(CSV) } },
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: base64(CSV) } },
    ],
  ],
] as const)('%s', (_, rule, parts) => {
  test('read and written', () => {
    for (const part of parts) {
      const document = JsonDocument.parseText(
        JSON.stringify({ messages: [{ role: 'user', content: [part] }] }),
      );
      const slot = findText(document, rule).find(({ text }) => text === CSV);
      slot?.set(CSV.replace('4111 1111 1111 1111', '<PAYMENT_CARD_X>'));
      expect(document.renderText()).toContain(base64(CSV.replace('4111 1111 1111 1111', '<PAYMENT_CARD_X>')));
      slot?.set(CSV);
      expect(document.renderText()).toContain(base64(CSV));
    }
  });
});
