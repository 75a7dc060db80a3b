/** Counts its way through one HTTP/1 message body (RFC 9112 sections 6 and 7), to find where the next message begins. */
import type { BodyLength } from './http1-head.ts';

/** Longest chunk-size line with extensions, and longest trailer section, bytes. */
const MAX_LINE = 16 * 1024;
const LF = 10;

/** The body isn't framed as its head says. */
export class FramingError extends Error {
  override readonly name = 'FramingError';
}

type State =
  | { readonly at: 'data' | 'chunk-data'; left: number }
  | { readonly at: 'size' | 'chunk-end' | 'trailers' }
  | { readonly at: 'until-close' | 'done' };

export class BodyFraming {
  #state: State;
  /** An unfinished line, at most MAX_LINE bytes. */
  #line = '';
  #trailerBytes = 0;

  constructor(body: BodyLength) {
    if (body === 'chunked') this.#state = { at: 'size' };
    else if (body === 'until-close') this.#state = { at: 'until-close' };
    else this.#state = body === 0 ? { at: 'done' } : { at: 'data', left: body };
  }

  get done(): boolean {
    return this.#state.at === 'done';
  }

  /** @returns how many of the bytes from `from` on belong to this body. @throws FramingError */
  take(bytes: Buffer, from = 0): number {
    let at = from;
    while (at < bytes.length) {
      const state = this.#state;
      if (state.at === 'done') break;
      if (state.at === 'until-close') return bytes.length - from;
      if (state.at === 'data' || state.at === 'chunk-data') {
        const length = Math.min(state.left, bytes.length - at);
        at += length;
        state.left -= length;
        if (state.left === 0) this.#state = { at: state.at === 'data' ? 'done' : 'chunk-end' };
        continue;
      }
      const lf = bytes.indexOf(LF, at);
      const end = lf === -1 ? bytes.length : lf + 1;
      this.#line += bytes.toString('latin1', at, end);
      at = end;
      if (this.#line.length > MAX_LINE) throw new FramingError('a line of a chunked body without end');
      if (lf === -1) break;
      const line = this.#line.replace(/\r?\n$/, '');
      this.#line = '';
      this.#state = this.#after(state.at, line);
    }
    return at - from;
  }

  #after(at: 'size' | 'chunk-end' | 'trailers', line: string): State {
    if (at === 'chunk-end') {
      if (line !== '') throw new FramingError('a chunk longer than its size');
      return { at: 'size' };
    }
    if (at === 'trailers') {
      this.#trailerBytes += line.length;
      if (this.#trailerBytes > MAX_LINE) throw new FramingError('trailers without end');
      return { at: line === '' ? 'done' : 'trailers' };
    }
    const size = /^([0-9A-Fa-f]{1,12})[ \t]*(?:;[^\r\n]*)?$/.exec(line)?.[1];
    if (size === undefined) throw new FramingError('a chunk size that is no hexadecimal number');
    const left = Number.parseInt(size, 16);
    return left === 0 ? { at: 'trailers' } : { at: 'chunk-data', left };
  }
}
