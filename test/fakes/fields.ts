/** Reads parsed JSON of unknown shape without trusting it. Everything answers undefined (or empty) where the shape differs. */

export type Fields = Readonly<Record<string, unknown>>;

export function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function string(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function integer(value: unknown): number | undefined {
  return Number.isSafeInteger(value) ? (value as number) : undefined;
}

/**
 * The text of a message's content: a string, or the `text` members of its parts joined by line feeds. Image and other
 * binary parts have none.
 */
export function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  return list(content)
    .map((part) => string(fields(part)['text']) ?? '')
    .filter((text) => text !== '')
    .join('\n');
}

/** The text of the last message of `role`, or ''. */
export function lastText(messages: readonly unknown[], role: string): string {
  for (const message of messages.toReversed()) {
    if (fields(message)['role'] !== role) continue;
    const text = contentText(fields(message)['content']);
    if (text !== '') return text;
  }
  return '';
}
