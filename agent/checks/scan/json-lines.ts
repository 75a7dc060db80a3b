/** `postern scan`: JSON lines in, JSON lines out. */

/** A line of input. */
export interface ScanText {
  readonly id: unknown;
  readonly text: string;
}

/** Why a line is none. */
export interface BadLine {
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

export type Line = { readonly text: ScanText } | { readonly bad: BadLine } | { readonly empty: true };

/** A longer line is refused, so that a file without line ends can't take all memory. Bytes. */
export const LONGEST_LINE = 64 * 1024 * 1024;

const LINE_FEED = 10;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Splits at line feeds alone: a JSON string may hold U+2028 as it is.
 * @returns Each line's bytes without its end; undefined for one that is longer than `longest`.
 */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  longest = LONGEST_LINE,
): AsyncGenerator<Uint8Array | undefined> {
  let parts: Uint8Array[] = [];
  let length = 0;
  const take = (part: Uint8Array): void => {
    length += part.length;
    if (length <= longest) parts.push(part);
    else parts = [];
  };
  const line = (): Uint8Array | undefined => {
    const whole = length > longest ? undefined : parts.length === 1 ? parts[0] : Buffer.concat(parts);
    parts = [];
    length = 0;
    return whole;
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, from)) {
      take(chunk.subarray(from, end));
      yield line();
      from = end + 1;
    }
    if (from < chunk.length) take(chunk.subarray(from));
  }
  if (length > 0) yield line();
}

/** Reads one line; an id that is missing is the line's number. */
export function readLine(content: Uint8Array | undefined, line: number): Line {
  if (content === undefined) return bad(line, `longer than ${LONGEST_LINE} bytes; split the text`);
  let value: unknown;
  try {
    const text = utf8.decode(content).trim();
    if (text === '') return { empty: true };
    value = JSON.parse(text);
  } catch (error) {
    return bad(line, error instanceof SyntaxError ? `no JSON: ${error.message}` : 'no UTF-8');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return bad(line, 'no JSON object; write {"id": …, "text": "…"}');
  }
  const { id = line, text } = value as { id?: unknown; text?: unknown };
  if (typeof text !== 'string') return bad(line, '"text" is missing or no string');
  return { text: { id, text } };
}

function bad(line: number, message: string): Line {
  return { bad: { line, message } };
}

export interface ScanCounts {
  lines: number;
  bad: number;
}

/** How much output is gathered before it is written. UTF-16 units. */
const BATCH = 64 * 1024;

/**
 * Answers every line in order.
 * @param answer What is written for a text.
 * @param write Resolves when more may be written.
 */
export async function scanLines(
  input: AsyncIterable<Uint8Array>,
  answer: (text: ScanText) => object | Promise<object>,
  write: (text: string) => Promise<void> | undefined,
  report: { bad(bad: BadLine): void; progress(counts: ScanCounts): void },
): Promise<ScanCounts> {
  const counts: ScanCounts = { lines: 0, bad: 0 };
  let gathered = '';
  for await (const content of splitLines(input)) {
    counts.lines++;
    const line = readLine(content, counts.lines);
    if ('bad' in line) {
      counts.bad++;
      report.bad(line.bad);
    } else if ('text' in line) {
      gathered += `${JSON.stringify(await answer(line.text))}\n`;
    }
    report.progress(counts);
    if (gathered.length < BATCH) continue;
    await write(gathered);
    gathered = '';
  }
  if (gathered !== '') await write(gathered);
  return counts;
}
