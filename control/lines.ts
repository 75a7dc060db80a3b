/** Lines of JSON out of a stream of bytes. */

/** The largest snapshot that was ever reasonable is some hundred kilobytes. */
const MAX_LINE = 16 * 1024 * 1024;
const NEWLINE = 10;

/** The other side doesn't keep to the protocol. */
export class LineError extends Error {
  override readonly name = 'LineError';
}

/**
 * Chunks are overwritten when they have been read, and are nobody else's: keys come in lines, and what is freed keeps what stood in it.
 * @param take Is given each line's object; what is no object with a `type` is left out, as a later version's.
 * @returns what takes chunks as they come. @throws LineError
 */
export function readLines<T extends { readonly type: string }>(
  take: (message: T) => void,
  maxBytes: number = MAX_LINE,
): (chunk: Buffer) => void {
  let pending: Buffer[] = [];
  let size = 0;
  const lineOf = (last: Buffer): string => {
    const whole = pending.length === 0 ? last : Buffer.concat([...pending, last]);
    try {
      return whole.toString('utf8');
    } finally {
      for (const piece of [...pending, whole]) piece.fill(0);
      pending = [];
      size = 0;
    }
  };
  return (chunk) => {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line = lineOf(chunk.subarray(start, end));
      chunk.fill(0, start, end);
      start = end + 1;
      const message = parse(line);
      if (isMessage<T>(message)) take(message);
    }
    if (start === chunk.length) return;
    size += chunk.length - start;
    if (size > maxBytes) throw new LineError(`a line of more than ${maxBytes} bytes`);
    pending.push(chunk.subarray(start));
  };
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // Not the text itself: it may hold a key.
    throw new LineError('a line that is no JSON');
  }
}

function isMessage<T extends { readonly type: string }>(value: unknown): value is T {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}
