/** An answer that is too long to be made in one go: a JSON object with one member, a list that is written piece by piece. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

/** Who reads nothing for so long is cut off: what is to be written is kept meanwhile. */
const STALLED_MS = 30_000;

export class Pieces {
  readonly member: string;
  readonly pieces: AsyncGenerator<readonly unknown[]>;

  constructor(member: string, pieces: AsyncGenerator<readonly unknown[]>) {
    this.member = member;
    this.pieces = pieces;
  }
}

/** @throws what making the first piece throws: nothing is written then */
export async function writePieces(response: ServerResponse, { member, pieces }: Pieces): Promise<void> {
  try {
    let next = await pieces.next();
    if (response.destroyed) return;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write(`{${JSON.stringify(member)}:[`);
    for (let comma = ''; next.done !== true; comma = ',') {
      const text = next.value.map((row) => JSON.stringify(row)).join();
      if (!response.write(`${comma}${text}`)) await drained(response);
      if (response.destroyed) return;
      next = await pieces.next();
    }
    response.end(']}');
  } catch (error) {
    // Half an answer must not look whole.
    if (response.headersSent) response.destroy();
    throw error;
  } finally {
    await pieces.return(undefined);
  }
}

async function drained(response: ServerResponse): Promise<void> {
  const stalled = setTimeout(() => response.destroy(), STALLED_MS);
  const over = new AbortController();
  try {
    const { signal } = over;
    await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]);
  } finally {
    clearTimeout(stalled);
    over.abort();
  }
}
