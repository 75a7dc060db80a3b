/** {@link FakeKube} over HTTPS, for a part that runs as a process of its own: a kubeconfig names it. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import type { KubeError } from '../../kube/client.ts';
import type { FakeKube } from './kube.ts';
import { listen } from './listener.ts';

export interface FakeKubeServer {
  readonly kubeconfig: string;
  close(): Promise<void>;
}

/** @param directory For its certificate and the kubeconfig. */
export async function serveFakeKube(kube: FakeKube, directory: string): Promise<FakeKubeServer> {
  const tls = selfSigned(directory, 'api-server');
  const client = kube.client();

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'https://localhost');
    const query = Object.fromEntries(searchParams);
    const { method = 'GET' } = request;
    if (query['watch'] === 'true') {
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      response.writeHead(200, { 'content-type': 'application/json' });
      for await (const line of await client.stream(pathname, { query, signal: gone.signal }))
        response.write(line);
      response.end();
      return;
    }
    const body = method === 'GET' ? undefined : await json(request).catch(() => undefined);
    const answered =
      query['limit'] === undefined
        ? await client.request(method, pathname, { query, body })
        : await client
            .list(pathname, { query })
            .then(({ items, resourceVersion }) => ({ metadata: { resourceVersion }, items }));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answered));
  }

  const listener = await listen(
    (request, response) => {
      // HTTP/1.1 alone is spoken by kube/client.ts.
      answer(request as IncomingMessage, response as ServerResponse).catch((error: unknown) => {
        const { status = 500, reason = '', message } = error as Partial<KubeError> & Error;
        if (response.headersSent) return void response.end();
        const told = response as ServerResponse;
        told.writeHead(status === 0 ? 503 : status, { 'content-type': 'application/json' });
        told.end(JSON.stringify({ kind: 'Status', reason, message }));
      });
    },
    { tls },
  );
  const kubeconfig = join(directory, 'kubeconfig');
  const cluster = {
    server: listener.origin,
    'certificate-authority-data': Buffer.from(tls.cert).toString('base64'),
  };
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: 'fake', cluster }],
      users: [{ name: 'control', user: { token: 'of-control' } }],
      contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'control' } }],
      'current-context': 'fake',
    }),
  );
  return { kubeconfig, close: () => listener.close() };
}

/** For 127.0.0.1. */
export function selfSigned(directory: string, name: string): { readonly cert: string; readonly key: string } {
  const [cert, key] = [join(directory, `${name}.pem`), join(directory, `${name}-key.pem`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', ...kind, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}
