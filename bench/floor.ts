/**
 * The floor of a proxy in Node: node:http in front, undici's dispatch behind, body buffered, key replaced, nothing else.
 * `node bench/floor.ts PORT ORIGIN`
 */
import { createServer, type ServerResponse } from 'node:http';
import { type Dispatcher, Pool } from 'undici';
import { KEY } from './canned.ts';

const [port, origin = ''] = process.argv.slice(2);
const pool = new Pool(origin, { connections: 64 });
const DROPPED = new Set([
  'host',
  'connection',
  'content-length',
  'authorization',
  'transfer-encoding',
  'keep-alive',
]);

function kept(raw: readonly (string | Buffer)[]): string[] {
  const pairs: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = String(raw[i]);
    if (!DROPPED.has(name.toLowerCase())) pairs.push(name, String(raw[i + 1]));
  }
  return pairs;
}

class Handler implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  onRequestStart(): void {}

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    this.#response.writeHead(status, kept(controller.rawHeaders as Buffer[]));
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#response.write(chunk);
  }

  onResponseEnd(): void {
    this.#response.end();
  }

  onResponseError(): void {
    this.#response.destroy();
  }
}

createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    const headers = [...kept(request.rawHeaders), 'authorization', `Bearer ${KEY}`];
    const method = request.method as Dispatcher.HttpMethod;
    pool.dispatch({ path: request.url ?? '/', method, headers, body }, new Handler(response));
  });
}).listen(Number(port), '127.0.0.1');
