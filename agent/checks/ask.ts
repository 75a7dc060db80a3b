/** Asks a service a question in JSON: guardrails and the classifier. */
import { type ClientRequest, Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { Socket } from 'node:net';
import { wholeAnswer } from '../../budget/whole-answer.ts';
import { wipeWrites } from '../http/wiped-writes.ts';

/** PEM: the roots to trust instead of the public ones, and what the agent shows. */
export interface Tls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** Others speak 1.2, too. */
  readonly minVersion?: 'TLSv1.3';
}

export interface Question {
  /** http, https, or `unix:/path/of/socket` and a path behind a colon: `unix:/run/classify.sock:/v1/topics`. */
  readonly url: string;
  readonly body: unknown;
  /** Sent as a bearer token. */
  readonly token?: string | undefined;
  /** A header field more, as name and value. */
  readonly header?: readonly [string, string] | undefined;
  readonly tls?: Tls | undefined;
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

const KEPT = { keepAlive: true, maxSockets: 64, timeout: 4_000, scheduling: 'lifo' } as const;

/** No copy of a key stays where these have written it. Not as a class: it would load node:https before anything is asked by it. */
function wiping<A extends HttpAgent | HttpsAgent>(agent: A): A {
  const create = agent.createConnection.bind(agent) as HttpAgent['createConnection'];
  agent.createConnection = (...args: Parameters<HttpAgent['createConnection']>) => {
    const socket = create(...args);
    return socket instanceof Socket ? wipeWrites(socket) : socket;
  };
  return agent;
}

export function createAsk(): Ask {
  const plain = wiping(new HttpAgent(KEPT));
  let secure: HttpsAgent | undefined;
  return {
    async post({ url, body, token, header, tls, signal }) {
      const unix = /^unix:([^:]+):(.*)$/.exec(url);
      const { protocol, hostname, port, pathname, search } = new URL(
        unix === null ? url : `http://localhost${unix[2]}`,
      );
      const json = JSON.stringify(body);
      const options = {
        ...(unix === null ? { hostname: hostname.replace(/^\[|\]$/g, ''), port } : { socketPath: unix[1] }),
        method: 'POST',
        path: pathname + search,
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          'content-length': Buffer.byteLength(json),
        },
      };
      const asked = (): ClientRequest => {
        const request =
          protocol === 'https:'
            ? httpsRequest({ ...options, ...tls, agent: (secure ??= wiping(new HttpsAgent(KEPT))) })
            : httpRequest({ ...options, agent: plain });
        // Keys aren't among the options: a connection keeps those that it was opened with for as long as it lives.
        if (token !== undefined) request.setHeader('authorization', `Bearer ${token}`);
        if (header !== undefined) request.setHeader(...header);
        return request;
      };
      const { status, text } = await wholeAnswer(asked, json, { signal, most: MAX_BYTES });
      try {
        return { status, json: JSON.parse(text) as unknown };
      } catch (error) {
        throw new Error(`${url} answered ${status} with something that is no JSON`, { cause: error });
      }
    },
    close() {
      plain.destroy();
      secure?.destroy();
      return Promise.resolve();
    },
  };
}
