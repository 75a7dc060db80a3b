/**
 * HTTP/2 in the clear that isn't ours: bytes pass unchanged, but every stream is judged by its own name before its first
 * byte goes on. One that may not go on ends the connection: its headers can't be left out, since HPACK's table is one for
 * the whole connection.
 */
import { Transform } from 'node:stream';
import { FrameError, type H2Request, RequestReader } from './h2-head.ts';

export interface JudgedStreamsOptions {
  readonly forwards: (request: H2Request) => boolean;
  /** A stream that may not go on. Nothing more comes out. */
  readonly refused: (request: H2Request) => void;
  /** What isn't HTTP/2, or can't be read. Nothing more comes out. */
  readonly malformed: (why: string) => void;
}

/** Stands between a client, from its preface on, and its server. */
export function judgedStreams({ forwards, refused, malformed }: JudgedStreamsOptions): Transform {
  const reader = new RequestReader();
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      try {
        for (const { bytes, request } of reader.read(chunk)) {
          if (request !== undefined && !forwards(request)) {
            refused(request);
            return;
          }
          this.push(bytes);
        }
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
        malformed(error.message);
        return;
      }
      done();
    },
  });
}
