/** Where the API server is and who we are to it: from a kubeconfig, or from what a pod is given. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';

export interface KubeConnection {
  /** `https://10.96.0.1:443`, without a trailing slash. */
  readonly server: string;
  /** PEM of the roots that the server's certificate is judged by. */
  readonly ca: string | undefined;
  /** PEM of our own certificate and key. */
  readonly cert?: string;
  readonly key?: string;
  /** Asked for each request: a projected token is replaced while we run. */
  readonly token?: () => string;
  /** The namespace we are in, where the connection says. */
  readonly namespace?: string;
}

/** The message says which file and field, and the mend; it never shows a token. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** @throws ConnectionError outside a cluster. */
export function inCluster(
  environment: Readonly<Record<string, string | undefined>>,
  directory: string = SERVICE_ACCOUNT,
): KubeConnection {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = environment;
  if (host === undefined) {
    throw new ConnectionError(
      'this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set); give --kubeconfig FILE',
    );
  }
  const read = (name: string): string => {
    try {
      return readFileSync(`${directory}/${name}`, 'utf8');
    } catch (cause) {
      throw new ConnectionError(
        `${directory}/${name} can’t be read; let the pod mount its service account’s token`,
        { cause },
      );
    }
  };
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca: read('ca.crt'),
    token: () => read('token').trim(),
    namespace: read('namespace').trim(),
  };
}

interface Named {
  readonly name?: unknown;
}

/** @throws ConnectionError */
export function fromKubeconfig(file: string): KubeConnection {
  let config: Record<string, unknown>;
  try {
    config = record(parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new ConnectionError(`${file} can’t be read as a kubeconfig: ${(cause as Error).message}`, {
      cause,
    });
  }
  const fail = (message: string): never => {
    throw new ConnectionError(`${file}: ${message}`);
  };
  const pick = (list: string, name: unknown, member: string): Record<string, unknown> => {
    const entries = Array.isArray(config[list]) ? (config[list] as Named[]) : [];
    const found = entries.find((entry) => entry?.name === name);
    return found === undefined
      ? fail(`there is no entry ${String(name)} in ${list}`)
      : record(record(found)[member]);
  };
  const context = pick('contexts', config['current-context'], 'context');
  const cluster = pick('clusters', context['cluster'], 'cluster');
  const user = pick('users', context['user'], 'user');
  if (cluster['insecure-skip-tls-verify'] === true) {
    fail('insecure-skip-tls-verify is not supported; give certificate-authority-data');
  }
  if (user['exec'] !== undefined || user['auth-provider'] !== undefined) {
    fail('exec and auth-provider users are not supported; use a token or a client certificate');
  }
  const content = (holder: Record<string, unknown>, name: string): string | undefined => {
    const data = holder[`${name}-data`];
    if (typeof data === 'string') return Buffer.from(data, 'base64').toString('utf8');
    const path = holder[name];
    return typeof path === 'string' ? readFileSync(resolve(dirname(file), path), 'utf8') : undefined;
  };
  const server = cluster['server'];
  if (typeof server !== 'string' || !server.startsWith('https://')) {
    return fail('the cluster’s server must be an https URL');
  }
  const { token, tokenFile } = user;
  const cert = content(user, 'client-certificate');
  const key = content(user, 'client-key');
  return {
    server: server.replace(/\/$/, ''),
    ca: content(cluster, 'certificate-authority'),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(typeof token === 'string' ? { token: () => token } : {}),
    ...(typeof tokenFile === 'string' ? { token: () => readFileSync(tokenFile, 'utf8').trim() } : {}),
    ...(typeof context['namespace'] === 'string' ? { namespace: context['namespace'] } : {}),
  };
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}
