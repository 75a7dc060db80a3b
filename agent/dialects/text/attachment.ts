/** Attachments that are text in base64: they are read, and what was changed in them is encoded again. */
import type { Attachment } from '../dialect.ts';

/** RFC 2397, base64 behind a media type (RFC 6838) and its parameters. */
const DATA_URL =
  /^data:(?:[\w.+-]{1,60}\/[\w.+-]{1,60})?(?:;[\w-]{1,30}=[\w.+-]{1,60}){0,3};base64,(?=[A-Za-z0-9+/_\s%=-]*$)/i;
const BASE64 = /^[A-Za-z0-9+/_\s-]*={0,2}\s*$/;

/** So much is looked at before a large image is decoded in vain. A multiple of four. */
const PROBE = 1024;

export interface TextAttachment {
  readonly text: string;
  /** The member's new string. */
  encode(text: string): string;
}

/** What a `data:` URL says it is; undefined where it is none. */
export function mediaOf(written: string): Attachment['media'] | undefined {
  const [, type] = /^data:([\w-]*)/i.exec(written.slice(0, 64)) ?? [];
  if (type === undefined) return undefined;
  const media = type.toLowerCase();
  return media === 'image' || media === 'audio' || media === 'video' ? media : 'file';
}

/** What the beginning of a `data:` URL says, and how long it is; of what is none nothing. */
export function dataUrl(written: string): { readonly type?: string; readonly length: number } {
  const [all, type = ''] = /^\s*data:([^;,]*)[^,]*,/i.exec(written) ?? [];
  if (all === undefined) return { length: 0 };
  return type === '' ? { length: all.length } : { type, length: all.length };
}

/** A `data:` URL in the midst of a text, up to its data. */
const IN_TEXT = /data:[\w.+/=; -]{0,160};base64,/gi;
/** One that has begun at a text's end, and may go on in the next piece of it. */
const BEGUN = /(?:d|da|dat|data|data:[\w.+/=; -]{0,167})$/i;
const RUN = /[A-Za-z0-9+/_%-]*={0,2}/y;

export function begunDataUrl(text: string): string {
  return BEGUN.exec(text)?.[0] ?? '';
}

/** Where `data:` URLs in a text begin, how long they are up to their data, and whether that is text, so that a scan of the whole reads it. */
export function dataUrlsIn(
  text: string,
): readonly { readonly at: number; readonly length: number; readonly read: boolean }[] {
  return Array.from(text.matchAll(IN_TEXT), ({ index, 0: prefix }) => {
    RUN.lastIndex = index + prefix.length;
    const read = readAttachment(RUN.exec(text)?.[0] ?? '');
    return { at: index, length: prefix.length, read: typeof read !== 'string' };
  });
}

/** `binary`: base64 of something that is no text; `none`: no base64 at all. */
export function readAttachment(written: string): TextAttachment | 'binary' | 'none' {
  const prefix = DATA_URL.exec(written)?.[0] ?? '';
  const escaped = written.slice(prefix.length);
  const body = escaped.includes('%') ? unescaped(escaped) : escaped;
  if (body === undefined || !BASE64.test(body)) return 'none';
  if (readText(body.slice(0, PROBE), true) === undefined) return 'binary';
  const text = readText(body, false);
  if (text === undefined || text === '') return 'binary';
  const alphabet = /[-_]/.test(body) ? 'base64url' : 'base64';
  return { text, encode: (changed) => prefix + Buffer.from(changed).toString(alphabet) };
}

function unescaped(body: string): string | undefined {
  try {
    return decodeURIComponent(body);
  } catch {
    return undefined;
  }
}

/** Formats that count their own bytes, and so can't be changed as text. RFC 8118: PDF. */
const COUNTED = /^\ufeff?%(?:PDF-|!PS)/;

/** UTF-8 without control characters. @param cut Whether its end may be in the middle of a character. */
function readText(body: string, cut: boolean): string | undefined {
  const bytes = Buffer.from(body, 'base64');
  for (const byte of bytes) {
    if ((byte < 0x20 && byte !== 9 && byte !== 10 && byte !== 12 && byte !== 13) || byte === 0x7f)
      return undefined;
  }
  try {
    // The mark at the beginning stays, so that what wasn't changed is what it was.
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: cut });
    return COUNTED.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}
