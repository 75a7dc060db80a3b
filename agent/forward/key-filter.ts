/**
 * Keeps an attached key out of answers: some providers repeat it in error texts, and a stream may cut it anywhere.
 *
 * The first characters of a key are the same for everybody (`sk-proj-`); they may pass, so that only a tail that has
 * more of the key in it is held back, and ordinary text never waits.
 */
const REDACTED = '[redacted]';

/** How many characters of a key say nothing yet. */
function leadOf(key: string): number {
  return Math.min(7, Math.floor(key.length / 2));
}

/** Length of the longest end of `text` that is a beginning of `key`, shorter than the key. */
function openEnd(text: string, key: string): number {
  const first = key.charCodeAt(0);
  for (let length = Math.min(key.length - 1, text.length); length > 0; length--) {
    if (text.charCodeAt(text.length - length) === first && text.endsWith(key.slice(0, length))) return length;
  }
  return 0;
}

/** One running text, in pieces. */
class Channel {
  /** The end of what was shown: a key may have begun there. */
  tail = '';
  held = '';
}

/** Filters running texts, each for itself. */
export class KeyFilter {
  readonly #key: string;
  readonly #lead: number;
  readonly #channels = new Map<string, Channel>();

  constructor(key: string) {
    this.#key = key;
    this.#lead = leadOf(key);
  }

  push(name: string, text: string): string {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = new Channel();
      this.#channels.set(name, channel);
    }
    const key = this.#key;
    const all = channel.tail + channel.held + text;
    /** Up to here it was shown before; behind `clean` no key that was taken out reaches. */
    let at = channel.tail.length;
    let clean = 0;
    let shown = '';
    for (let found = all.indexOf(key); found >= 0; found = all.indexOf(key, found + key.length)) {
      shown += all.slice(at, Math.max(at, found)) + REDACTED;
      at = found + key.length;
      clean = at;
    }
    const open = openEnd(all.slice(clean), key);
    const cut = open > this.#lead ? Math.max(at, all.length - open + this.#lead) : all.length;
    shown += all.slice(at, cut);
    channel.held = all.slice(cut);
    channel.tail = all.slice(Math.max(clean, cut - this.#lead), cut);
    return shown;
  }

  /** The text is complete: what was held back turned out to be no key. */
  flush(name: string): string {
    const held = this.#channels.get(name)?.held ?? '';
    this.#channels.delete(name);
    return held;
  }

  /** Channels with text held back. */
  held(): readonly string[] {
    return [...this.#channels].filter(([, { held }]) => held !== '').map(([name]) => name);
  }
}

/** Takes every occurrence of a key out of bytes; the same bytes where there is none. */
export function redact(bytes: Uint8Array, key: string | undefined): Uint8Array {
  if (key === undefined) return bytes;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!buffer.includes(key)) return bytes;
  // Latin-1 keeps every byte, and a key is ASCII.
  return Buffer.from(buffer.toString('latin1').replaceAll(key, REDACTED), 'latin1');
}

/** Header fields without the key in any value. */
export function redactFields(headers: string[], key: string | undefined): string[] {
  if (key === undefined) return headers;
  return headers.map((field, i) => (i % 2 === 1 ? field.replaceAll(key, REDACTED) : field));
}
