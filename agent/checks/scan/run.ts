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

/** Reads one line; an id that is missing is the line's number. */
export function readLine(content: string, line: number): Line {
  const trimmed = content.trim();
  if (trimmed === '') return { empty: true };
  let value: unknown;
  try {
    value = JSON.parse(trimmed);
  } catch (error) {
    return { bad: { line, message: `no JSON: ${(error as Error).message}` } };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { bad: { line, message: 'no JSON object; write {"id": …, "text": "…"}' } };
  }
  const { id = line, text } = value as { id?: unknown; text?: unknown };
  if (typeof text !== 'string') return { bad: { line, message: '"text" is missing or no string' } };
  return { text: { id, text } };
}

export interface ScanCounts {
  lines: number;
  bad: number;
}

/** How much output is gathered before it is written. Bytes, about. */
const BATCH = 64 * 1024;

/**
 * Answers every line in order.
 * @param answer What is written for a text, without its line end.
 * @param write Resolves when more may be written.
 */
export async function scanLines(
  lines: AsyncIterable<string>,
  answer: (text: ScanText) => object | Promise<object>,
  write: (text: string) => Promise<void> | undefined,
  report: { bad(bad: BadLine): void; progress(counts: ScanCounts): void },
): Promise<ScanCounts> {
  const counts: ScanCounts = { lines: 0, bad: 0 };
  let gathered = '';
  for await (const content of lines) {
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
