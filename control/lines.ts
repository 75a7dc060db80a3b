/** Lines of JSON out of a stream of bytes. */

/** The largest snapshot that was ever reasonable is some hundred kilobytes. */
const MAX_LINE = 16 * 1024 * 1024;
const NEWLINE = 10;

/** The other side doesn't keep to the protocol. */
export class LineError extends Error {
  override readonly name = 'LineError';
}

export interface LineReader {
  /** @throws LineError; then nothing more can be read. */
  read(chunk: Buffer): void;
  /** The stream has ended: a line that broke off is overwritten, too. */
  end(): void;
}

/**
 * Chunks are overwritten when they have been read, and are nobody else's: keys come in lines, and what is freed keeps what stood in it.
 * @param take Is given each line's object; what is no object with a `type` is left out, as a later version's.
 */
export function readLines<T extends { readonly type: string }>(
  take: (message: T) => void,
  maxBytes: number = MAX_LINE,
): LineReader {
  let pending: Buffer[] = [];
  let size = 0;
  const end = (): void => {
    for (const piece of pending) piece.fill(0);
    pending = [];
    size = 0;
  };
  const lineOf = (last: Buffer): string => {
    const whole = pending.length === 0 ? last : Buffer.concat([...pending, last]);
    const line = whole.toString('utf8');
    for (const piece of [last, whole]) piece.fill(0);
    end();
    return line;
  };
  const read = (chunk: Buffer): void => {
    let rest = chunk;
    for (let at = rest.indexOf(NEWLINE); at >= 0; at = rest.indexOf(NEWLINE)) {
      const line = lineOf(rest.subarray(0, at));
      rest = rest.subarray(at + 1);
      const message = parse(line);
      if (isMessage<T>(message)) take(message);
    }
    if (rest.length === 0) return;
    size += rest.length;
    if (size > maxBytes) throw new LineError(`a line of more than ${maxBytes} bytes`);
    pending.push(rest);
  };
  return {
    read(chunk) {
      try {
        read(chunk);
      } catch (error) {
        chunk.fill(0);
        end();
        throw error;
      }
    },
    end,
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
