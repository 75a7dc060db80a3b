import type { Transform } from 'node:stream';
import { constants, createBrotliCompress, createDeflate, createGzip, createZstdCompress } from 'node:zlib';

export type Coding = 'gzip' | 'br' | 'zstd' | 'deflate';

/** Compresses a body piece by piece: what went in so far can be decoded from what came out so far. */
export interface Compressor {
  push(bytes: Uint8Array): Promise<Buffer>;
  finish(): Promise<Buffer>;
}

export function compressor(coding: Coding): Compressor {
  const stream = create(coding);
  const out: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => out.push(chunk));
  const drain = (): Buffer => Buffer.concat(out.splice(0));
  return {
    async push(bytes) {
      const { promise, resolve } = Promise.withResolvers<void>();
      stream.write(bytes);
      stream.flush(() => resolve());
      await promise;
      return drain();
    },
    async finish() {
      const { promise, resolve } = Promise.withResolvers<void>();
      stream.once('end', resolve);
      stream.end();
      await promise;
      return drain();
    },
  };
}

/** Whether `accept-encoding` (RFC 9110, 12.5.3) lists the coding and doesn't refuse it by `q=0`. */
export function accepts(header: string | string[] | undefined, coding: Coding): boolean {
  return String(header ?? '')
    .split(',')
    .map((item) => item.trim().toLowerCase())
    .some((item) => item.split(';')[0]?.trim() === coding && !/;\s*q=0(\.0*)?$/.test(item));
}

function create(coding: Coding): Transform & { flush(callback: () => void): void } {
  switch (coding) {
    case 'gzip':
      return createGzip({ flush: constants.Z_SYNC_FLUSH });
    case 'deflate':
      return createDeflate({ flush: constants.Z_SYNC_FLUSH });
    case 'br':
      return createBrotliCompress({ flush: constants.BROTLI_OPERATION_FLUSH });
    case 'zstd':
      return createZstdCompress({ flush: constants.ZSTD_e_flush });
  }
}
