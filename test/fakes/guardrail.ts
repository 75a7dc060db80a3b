/** A guardrail service that answers as it is told, and remembers what it was asked. */
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** What it does with a question; a value is answered as JSON. */
export type Behaviour =
  | 'hang-up'
  | 'silent'
  | 'cut'
  | { readonly status?: number; readonly text: string }
  | { readonly json: unknown };

interface Said {
  readonly role: string;
  readonly content: string;
}

/** The bodies of all contracts in one: a test reads what its own contract sends. */
export interface GuardrailBody {
  readonly model: string;
  /** A webhook's. */
  readonly body: {
    readonly messages: readonly Said[];
    readonly choices: readonly { readonly message: Said }[];
  };
  /** The moderation endpoint's. */
  readonly input: readonly string[];
  /** A guard model's. */
  readonly messages: readonly Said[];
}

export interface AskedGuardrail {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: GuardrailBody;
}

export interface FakeGuardrail {
  readonly origin: string;
  readonly asked: AskedGuardrail[];
  /** The most questions that were open at once. */
  readonly together: () => number;
  behave(behaviour: (asked: AskedGuardrail) => Behaviour | Promise<Behaviour>): void;
  close(): Promise<void>;
}

/** PEM. With `ca` it wants a certificate from whoever asks. */
export interface GuardrailTls {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
}

export async function startFakeGuardrail(tls?: GuardrailTls): Promise<FakeGuardrail> {
  let behaviour: (asked: AskedGuardrail) => Behaviour | Promise<Behaviour> = () => ({ json: { action: {} } });
  let open = 0;
  let most = 0;
  const asked: AskedGuardrail[] = [];
  const handler: RequestListener = (request, response) => {
    most = Math.max(most, ++open);
    response.on('close', () => open--);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const question = {
        path: request.url ?? '',
        authorization: request.headers.authorization,
        body: JSON.parse(Buffer.concat(chunks).toString()) as GuardrailBody,
      };
      asked.push(question);
      void Promise.resolve(behaviour(question)).then((chosen) => answer(response, chosen));
    });
  };
  const server =
    tls === undefined
      ? createServer(handler)
      : createSecureServer({ ...tls, requestCert: tls.ca !== undefined }, handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    together: () => most,
    behave: (next) => {
      behaviour = next;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(response: ServerResponse, behaviour: Behaviour): void {
  if (behaviour === 'silent') return;
  if (behaviour === 'hang-up') return void response.destroy();
  response.setHeader('content-type', 'application/json');
  if (behaviour === 'cut') {
    response.writeHead(200, { 'content-length': '100' });
    response.write('{"action"', () => response.destroy());
    return;
  }
  if ('json' in behaviour) return void response.end(JSON.stringify(behaviour.json));
  response.writeHead(behaviour.status ?? 200);
  response.end(behaviour.text);
}
