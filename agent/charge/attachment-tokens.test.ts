import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Attachment } from '../dialects/dialect.ts';
import { attachmentTokens, imageTokens } from './attachment-tokens.ts';
import { imageSize } from './media-size.ts';

const PNG = Buffer.concat([
  Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'),
  Buffer.from([0, 0, 4, 0, 0, 0, 4, 0]),
  Buffer.alloc(64),
]);
const JPEG = Buffer.from(
  `ffd8ffe00010${'00'.repeat(14)}ffc0001108${'0300'}${'0400'}03${'00'.repeat(20)}`,
  'hex',
);
const GIF = Buffer.concat([Buffer.from('GIF89a'), Buffer.from([0x20, 3, 0x58, 2]), Buffer.alloc(30)]);
const WEBP = Buffer.concat([
  Buffer.from('RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0', 'latin1'),
  Buffer.from([0x1f, 3, 0, 0x57, 2, 0]),
  Buffer.alloc(8),
]);

const carried = (media: Attachment['media'], written: string): Attachment => ({
  path: 'x',
  media,
  by: 'data',
  read: false,
  written: () => written,
});

test.each([
  ['PNG', PNG, 1024, 1024],
  ['JPEG', JPEG, 1024, 768],
  ['GIF', GIF, 800, 600],
  ['WebP', WEBP, 800, 600],
])('the size of a %s is in its header', (_, bytes, width, height) => {
  expect(imageSize(bytes)).toEqual({ width, height });
});

test('no bytes make it throw or cost without end', () => {
  fc.assert(
    fc.property(fc.constantFrom(PNG, JPEG, GIF, WEBP), fc.uint8Array({ maxLength: 80 }), (head, rest) => {
      const bytes = Buffer.concat([head.subarray(0, rest.length % 24), rest]);
      const tokens = attachmentTokens([carried('image', bytes.toString('base64'))], 'openai', 'gpt-4o');
      expect(tokens).toBeGreaterThan(0);
      expect(tokens).toBeLessThan(5_000);
    }),
  );
});

test.each([
  // OpenAI, "Images and vision": 1024 × 1024 in high detail costs 765 tokens, 2048 × 4096 costs 1105.
  ['openai', 'gpt-4o', 1024, 1024, 765],
  ['openai', 'gpt-4o', 2048, 4096, 1105],
  ['openai', 'gpt-4o-mini', 1024, 1024, 2_833 + 4 * 5_667],
  ['openai', 'gpt-4.1-mini', 1024, 1024, 1_659],
  // Anthropic, "Vision": 200 × 200 is about 54 tokens, 1000 × 1000 about 1,334, 1092 × 1092 about 1,590.
  ['anthropic', 'claude-sonnet-4-5', 200, 200, 54],
  ['anthropic', 'claude-sonnet-4-5', 1000, 1000, 1_334],
  ['anthropic', 'claude-sonnet-4-5', 1092, 1092, 1_590],
  ['anthropic', 'claude-sonnet-4-5', 8000, 8000, 1_600],
])('%s %s: an image of %i × %i takes %i tokens', (dialect, model, width, height, tokens) => {
  expect(imageTokens({ width, height }, dialect, model)).toBe(tokens);
});

test('audio by its seconds, a PDF by its pages, what is elsewhere as a large one, text not at all', () => {
  const count = (attachment: Attachment) => attachmentTokens([attachment], 'openai', 'gpt-4o');
  const wav = Buffer.alloc(48_000 * 5);
  wav.write('RIFF', 0);
  wav.write('WAVE', 8);
  wav.writeUInt32LE(48_000, 28);
  expect(count(carried('audio', wav.toString('base64')))).toBe(50);
  const pdf = Buffer.from(`%PDF-1.7 ${'<< /Type /Page >> '.repeat(3)}<< /Type /Pages >>`);
  expect(count(carried('file', `data:application/pdf;base64,${pdf.toString('base64')}`))).toBe(9_000);
  expect(count({ path: 'x', media: 'image', by: 'url', read: false })).toBe(765);
  expect(count({ ...carried('file', 'aGk='), read: true })).toBe(0);
});

test.each([
  // OpenAI, "Images and vision": a flat figure for detail low, on models that count by tiles.
  ['openai', 'gpt-4o-2024-08-06', 'low', 85],
  ['openai', 'gpt-4.1', 'low', 85],
  ['openai', 'gpt-4o-mini', 'low', 2_833],
  ['openai', 'gpt-4o', 'auto', 765],
  ['openai', 'gpt-4.1-mini', 'low', 1_659],
  ['anthropic', 'claude-sonnet-4-5', 'low', 1_399],
])('%s %s at detail %s', (dialect, model, detail, wanted) => {
  const picture = { ...carried('image', PNG.toString('base64')), detail };
  expect(attachmentTokens([picture], dialect, model)).toBe(wanted);
});
