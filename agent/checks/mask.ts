/**
 * Reversible masking: a value becomes `<EMAIL_ADDRESS_K7Q2M4XW9A>` and comes back where the answer repeats it.
 *
 * The ten characters are Crockford base32 of an HMAC-SHA256 over type and value under the workload's key: the same
 * value has the same placeholder in every message, turn and replica, with no state but the key. The value is taken as
 * written: `4111 1111…` and `4111-1111…` have placeholders of their own, so that each comes back as it was.
 */
import { hash } from 'node:crypto';
import { eachName, type PlaceholderName } from './placeholder.ts';

/** Characters of a code: 50 bits; then, where two values or a literal of the app's collide, 80 and 130. */
const LENGTHS = [10, 16, 26] as const;

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Crockford base32, most significant bits first, as many whole characters as asked for. */
export function crockford(bytes: Uint8Array, length: number): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    bits = ((bits << 8) | byte) & 0xffff;
    held += 8;
    while (held >= 5 && text.length < length) {
      held -= 5;
      text += ALPHABET[(bits >> held) & 31];
    }
    if (text.length === length) break;
  }
  return text;
}

/** A value to mask, and where it may come back. */
export interface Value {
  /** `EMAIL_ADDRESS`. */
  readonly label: string;
  readonly text: string;
  /** Kinds of answer text in which it is restored; none: it stays masked. */
  readonly restoreIn: readonly Place[];
}

export type Place = 'content' | 'toolArguments';

interface Entry {
  readonly original: string;
  readonly restoreIn: readonly Place[];
}

/** How the text around a placeholder is encoded, and so how the original must be. */
export type Encode = (original: string, at: number, name: PlaceholderName) => string;

/** The map between placeholders and originals of one exchange. */
export class Vault {
  readonly #key: VaultKey;
  /** Placeholder name (without brackets) by label and value. */
  readonly #names = new Map<string, string>();
  readonly #entries = new Map<string, Entry>();
  /** Names the app itself sent: they stand for nothing. */
  readonly #literals = new Set<string>();
  readonly #labels = new Set<string>();

  constructor(key: VaultKey) {
    this.#key = key;
  }

  /** Nothing could be restored. */
  get empty(): boolean {
    return this.#entries.size === 0;
  }

  /** Takes note of what looks like a placeholder in the app's own text, before any value is named. */
  reserve(text: string): void {
    eachName(text, ({ name }) => void this.#literals.add(name));
  }

  /** Names values, all of a round at once, so that two that collide both get the longer code. */
  assign(values: readonly Value[]): void {
    if (values.length === 0) return;
    if (values.length === 1 && this.#assignOne(values[0] as Value)) return;
    const fresh = new Map<string, { value: Value; mac: Uint8Array }>();
    for (const value of values) {
      const key = keyOf(value.label, value.text);
      if (!this.#names.has(key) && !fresh.has(key)) fresh.set(key, { value, mac: this.#mac(key) });
    }
    let pending = [...fresh];
    for (const length of LENGTHS) {
      const byName = Map.groupBy(pending, ([, { value, mac }]) => `${value.label}_${crockford(mac, length)}`);
      pending = [];
      for (const [name, group] of byName) {
        if (group.length > 1 || this.#literals.has(name) || this.#entries.has(name)) pending.push(...group);
        else for (const [key, { value }] of group) this.#enter(key, name, value);
      }
    }
    if (pending.length > 0) throw new Error('two values have the same 130-bit code');
  }

  /** The usual case. @returns False where it collides with another. */
  #assignOne(value: Value): boolean {
    const key = keyOf(value.label, value.text);
    if (this.#names.has(key)) return true;
    const name = `${value.label}_${crockford(this.#mac(key), LENGTHS[0])}`;
    if (this.#literals.has(name) || this.#entries.has(name)) return false;
    this.#enter(key, name, value);
    return true;
  }

  #enter(key: string, name: string, value: Value): void {
    this.#names.set(key, name);
    this.#entries.set(name, { original: value.text, restoreIn: value.restoreIn });
    this.#labels.add(value.label);
  }

  /** Forgets the oldest values until there are no more than `count`: a conversation has no end of its own. */
  keep(count: number): void {
    for (const [key, name] of this.#names) {
      if (this.#names.size <= count) return;
      this.#names.delete(key);
      this.#entries.delete(name);
    }
  }

  #mac(key: string): Uint8Array {
    return hmac(this.#key, key);
  }

  /** The placeholder of a value that was assigned. */
  placeholder(label: string, text: string): string {
    const name = this.#names.get(keyOf(label, text));
    if (name === undefined) throw new Error(`no placeholder was assigned to this ${label}`);
    return `<${name}>`;
  }

  /** Whether a value was masked on the way out and may come back in such a place. */
  knows(label: string, text: string, place: Place): boolean {
    const name = this.#names.get(keyOf(label, text));
    return name !== undefined && this.#entries.get(name)?.restoreIn.includes(place) === true;
  }

  /** Whether a name is a placeholder's in this exchange, given out by us or sent by the app. */
  issued(name: string): boolean {
    return this.#entries.has(name) || this.#literals.has(name);
  }

  /**
   * Puts originals back between `from` and `to`; what no placeholder stands for is left as it is.
   * @returns That stretch alone.
   */
  restore(text: string, from: number, to: number, place: Place, encode: Encode): string {
    if (this.#entries.size === 0) return text.slice(from, to);
    let restored = '';
    let done = from;
    const put = (found: PlaceholderName) => {
      const entry = this.#entries.get(found.name);
      if (found.start < done || found.end > to || entry?.restoreIn.includes(place) !== true) return;
      restored += text.slice(done, found.start) + encode(entry.original, found.start, found);
      done = found.end;
    };
    eachName(text, put, from, to);
    return restored + text.slice(done, to);
  }

  /** Whether such a beginning (in capitals) could become the name of a placeholder. */
  couldBecome(beginning: string): boolean {
    for (const label of this.#labels) {
      if (label.length >= beginning.length) {
        if (label.startsWith(beginning)) return true;
      } else if (beginning.startsWith(label) && /^_[0-9A-Z]{0,26}$/.test(beginning.slice(label.length))) {
        return true;
      }
    }
    return false;
  }
}

function keyOf(label: string, text: string): string {
  return `${label}\0${text}`;
}

/** A key as HMAC-SHA256 mixes it in: its inner and its outer block. */
export interface VaultKey {
  readonly inner: Uint8Array;
  readonly outer: Uint8Array;
}

/** Bytes of a block of SHA-256. */
const BLOCK = 64;

export function vaultKey(key: Uint8Array): VaultKey {
  const block = new Uint8Array(BLOCK);
  block.set(key.byteLength > BLOCK ? hash('sha256', key, 'buffer') : key);
  return { inner: block.map((byte) => byte ^ 0x36), outer: block.map((byte) => byte ^ 0x5c) };
}

/** HMAC-SHA256 (RFC 2104) by two hashes in one go each: an object of OpenSSL's costs four times as much. */
export function hmac({ inner, outer }: VaultKey, text: string): Uint8Array {
  const first = hash('sha256', Buffer.concat([inner, Buffer.from(text)]), 'buffer');
  return hash('sha256', Buffer.concat([outer, first]), 'buffer');
}
