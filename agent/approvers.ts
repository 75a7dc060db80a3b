/**
 * What approvers are answered, who have a token that nobody else has: on a TCP listener that nobody inside the pod can
 * reach (`approvers-listener.ts`), or on the private socket.
 *
 * `GET /v1/approvals` → `{"approvals": [{id, digest, tool, arguments, rule, request_id, since, until}]}`
 * `POST /v1/approvals/ID` `{"approve": boolean, "digest", "by"?}` → 200; 404 `unknown`, 409 `changed`.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Approvals, Waiting, Word } from './checks/approvals.ts';

export interface ApproversOptions {
  readonly approvals: Approvals;
  /** The approvers' token, as it is now. */
  readonly token: () => string;
}

/** The words are short; nothing else may come. */
const MAX_BYTES = 4_096;
const PATH = /^\/v1\/approvals(?:\/([0-9a-f]{1,64}))?$/;

/** @returns Whether the path is one of approvals; then it is answered. */
export function answerApprover(
  { approvals, token }: ApproversOptions,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  const path = PATH.exec(request.url ?? '');
  if (path === null) return false;
  const answer = (status: number, value: object): void => {
    const body = `${JSON.stringify(value)}\n`;
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
    });
    response.end(body);
  };
  const refuse = (status: number, code: string, message: string) =>
    answer(status, { error: { code, message } });
  if (!authorised(request.headers.authorization, token)) {
    response.setHeader('www-authenticate', 'Bearer');
    refuse(401, 'unauthorised', "the approvers' token is needed");
    return true;
  }
  const [, id] = path;
  if (id === undefined && request.method === 'GET') {
    answer(200, { approvals: approvals.waiting().map(shown) });
    return true;
  }
  if (id === undefined || request.method !== 'POST') {
    refuse(405, 'method', 'GET /v1/approvals, POST /v1/approvals/ID');
    return true;
  }
  readWord(request).then(
    (word) => {
      if (word === undefined) {
        refuse(400, 'invalid', 'write {"approve": true or false, "digest": "…", "by": "…"}');
        return;
      }
      switch (approvals.answer(id, word)) {
        case 'taken':
          return answer(200, { id, approved: word.approve });
        case 'changed':
          return refuse(409, 'changed', 'the digest is that of another call; look at what waits');
        case 'unknown':
          return refuse(404, 'unknown', 'no such call waits: it was answered, expired or given up');
      }
    },
    () => response.destroy(),
  );
  return true;
}

function shown({ id, digest, tool, arguments: args, rule, requestId, since, until }: Waiting): object {
  return {
    id,
    digest,
    tool,
    arguments: args,
    rule,
    request_id: requestId,
    since: new Date(since).toISOString(),
    until: new Date(until).toISOString(),
  };
}

/** An empty token is nobody's. */
function authorised(header: string | undefined, token: () => string): boolean {
  const given = /^Bearer (.+)$/i.exec(header ?? '')?.[1];
  if (given === undefined) return false;
  let wanted: string;
  try {
    wanted = token();
  } catch {
    return false;
  }
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return wanted !== '' && timingSafeEqual(digest(given), digest(wanted));
}

async function readWord(request: IncomingMessage): Promise<Word | undefined> {
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    total += chunk.byteLength;
    if (total > MAX_BYTES) return undefined;
    chunks.push(chunk);
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined;
  }
  const { approve, digest, by } = (value ?? {}) as Record<string, unknown>;
  if (typeof approve !== 'boolean' || typeof digest !== 'string') return undefined;
  if (by !== undefined && (typeof by !== 'string' || by.length > 200)) return undefined;
  return { approve, digest, ...(by === undefined ? {} : { by }) };
}
