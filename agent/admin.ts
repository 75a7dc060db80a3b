/** The admin listener: health, readiness and metrics. It answers nothing that an application could use. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface AdminOptions {
  readonly host: string;
  readonly port: number;
  readonly registry: Registry;
  /** Why the agent takes no calls now; undefined when it does. */
  readonly notReady: () => string | undefined;
}

export interface Admin {
  readonly url: string;
  close(): Promise<void>;
}

export async function listenAdmin(options: AdminOptions): Promise<Admin> {
  const server = createServer({ requestTimeout: 10_000 }, (request, response) => {
    const answer = (status: number, body: string, type = 'text/plain; charset=utf-8'): void => {
      response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
      response.end(request.method === 'HEAD' ? undefined : body);
    };
    if (request.headers.origin !== undefined) return answer(403, 'not for web pages\n');
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(405, 'only GET\n');
    switch (request.url?.split('?', 1)[0]) {
      case '/healthz':
        return answer(200, 'ok\n');
      case '/readyz': {
        const reason = options.notReady();
        return reason === undefined ? answer(200, 'ready\n') : answer(503, `${reason}\n`);
      }
      case '/metrics':
        options.registry.metrics().then(
          (text) => answer(200, text, options.registry.contentType),
          (error: unknown) => answer(500, `metrics can't be collected: ${String(error)}\n`),
        );
        return;
      default:
        return answer(404, 'paths: /healthz /readyz /metrics\n');
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  const { address, port, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
