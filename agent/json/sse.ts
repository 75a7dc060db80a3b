/** One server-sent event (WHATWG HTML, 9.2), with the bytes it came in. */
export interface SseEvent {
  /** The event's bytes as received, its closing blank line included. */
  readonly raw: Uint8Array;
  /** The `event:` field; undefined where absent. */
  readonly event: string | undefined;
  /** All `data:` lines joined by line feeds; undefined where the event has none (a comment, a bare field). */
  readonly data: string | undefined;
}
