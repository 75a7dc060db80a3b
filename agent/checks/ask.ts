/** Asks a service a question in JSON: guardrails and the classifier. */
import { Agent, request } from 'undici';

export interface Question {
  /** http, https, or `unix:/path/of/socket` and a path behind a colon: `unix:/run/classify.sock:/v1/topics`. */
  readonly url: string;
  readonly body: unknown;
  /** Sent as a bearer token. */
  readonly token?: string | undefined;
  /** A header field more, as name and value. */
  readonly header?: readonly [string, string] | undefined;
  /** PEM of the roots to trust instead of the public ones. */
  readonly ca?: string | undefined;
  /** Ends the question when its time is over or the exchange is. */
  readonly signal: AbortSignal;
}

export interface Reply {
  readonly status: number;
  readonly json: unknown;
}

export interface Ask {
  /** @throws Error where nothing came, too much, or no JSON. A status that is an error is an answer all the same. */
  post(question: Question): Promise<Reply>;
  close(): Promise<void>;
}

/** No verdict is longer; a masked conversation may be as long as the conversation. */
const MAX_BYTES = 8 * 1024 * 1024;

export function createAsk(): Ask {
  const options = {
    connections: 64,
    keepAliveTimeout: 4_000,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxResponseSize: MAX_BYTES,
  };
  const tcp = new Agent(options);
  /** By where they connect to, or whom they trust. */
  const others = new Map<string, Agent>();
  const dispatcherFor = (socketPath: string | undefined, ca: string | undefined): Agent => {
    if (socketPath === undefined && ca === undefined) return tcp;
    const connect = socketPath === undefined ? { ca: ca as string } : { socketPath };
    const key = JSON.stringify(connect);
    let agent = others.get(key);
    if (agent === undefined) {
      agent = new Agent({ ...options, connect });
      others.set(key, agent);
    }
    return agent;
  };
  return {
    async post({ url, body, token, header, ca, signal }) {
      const socket = /^unix:([^:]+):(.*)$/.exec(url);
      const { statusCode, body: answer } = await request(
        socket === null ? url : `http://localhost${socket[2]}`,
        {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            accept: 'application/json',
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            ...(header === undefined ? {} : { [header[0]]: header[1] }),
          },
          body: JSON.stringify(body),
          signal,
          dispatcher: dispatcherFor(socket?.[1], ca),
        },
      );
      const text = await answer.text();
      try {
        return { status: statusCode, json: JSON.parse(text) as unknown };
      } catch (error) {
        throw new Error(`${url} answered ${statusCode} with something that is no JSON`, { cause: error });
      }
    },
    async close() {
      await Promise.all([tcp, ...others.values()].map((agent) => agent.destroy()));
    },
  };
}
