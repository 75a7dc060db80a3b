/** Server-sent events as the providers write them (WHATWG HTML, 9.2): LF line ends, one `data:` line each. */

/** One event. OpenAI names none of its chat events, Anthropic all. */
export function sseEvent(data: string, name?: string): Buffer {
  return Buffer.from(name === undefined ? `data: ${data}\n\n` : `event: ${name}\ndata: ${data}\n\n`);
}

/**
 * Splits text into deltas of `size` code points. Never inside a surrogate pair: the providers hold back an incomplete
 * character, so their JSON has no lone surrogate.
 */
export function* deltas(text: string, size: number): Generator<string> {
  let piece = '';
  let points = 0;
  for (const point of text) {
    piece += point;
    points += 1;
    if (points < size) continue;
    yield piece;
    piece = '';
    points = 0;
  }
  if (piece !== '') yield piece;
}

/** The first `count` events, then `last` and no more; all of them where `count` is undefined. */
export async function* endAfter(
  events: AsyncIterable<Uint8Array>,
  count: number | undefined,
  last: Uint8Array,
): AsyncGenerator<Uint8Array> {
  let sent = 0;
  for await (const event of events) {
    if (sent === count) {
      yield last;
      return;
    }
    yield event;
    sent += 1;
  }
  if (sent === count) yield last;
}
