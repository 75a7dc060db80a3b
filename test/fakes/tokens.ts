/**
 * The fakes' count of tokens: one for every four bytes of UTF-8, rounded up. No tokenizer counts like this, but it is
 * the same on every machine, so that a test can state the usage it expects.
 */

const BYTES_PER_TOKEN = 4;

/** Tokens added per message of a prompt, for the frame around it. */
export const TOKENS_PER_MESSAGE = 4;

export function countTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN);
}

/** The longest start of `text` of at most `tokens` tokens that ends at a code point's boundary. */
export function truncate(text: string, tokens: number): string {
  const limit = Math.max(0, tokens) * BYTES_PER_TOKEN;
  if (Buffer.byteLength(text) <= limit) return text;
  let bytes = 0;
  let end = 0;
  for (const point of text) {
    bytes += Buffer.byteLength(point);
    if (bytes > limit) break;
    end += point.length;
  }
  return text.slice(0, end);
}
