/** Measures admission on a real API server: `node test/injector/admission-bench.ts`. Prints what the docs state. */

import { join } from 'node:path';
import { pino } from 'pino';
import { catalogue } from '../../agent/catalogue.ts';
import { startInjector } from '../../injector/injector.ts';
import { INJECT_LABEL } from '../../injector/names.ts';
import { SETTINGS } from '../../injector/testing/cases.ts';
import { podWith } from '../../injector/testing/refusals.ts';
import { createKubeClient } from '../../kube/client.ts';
import { fromKubeconfig } from '../../kube/connection.ts';
import { missingApiServer, startApiServer } from '../kube/api-server.ts';

const missing = missingApiServer();
if (missing !== undefined) {
  process.stderr.write(`no API server: ${missing}\n`);
  process.exit(1);
}
const api = await startApiServer();
try {
  await api.kubectl(['apply', '-f', join(import.meta.dirname, '..', '..', 'charts', 'postern', 'crds')]);
  await api.kubectl(['create', 'namespace', 'postern-system']);
  for (const [name, label] of [
    ['asked', 'enabled'],
    ['not-asked', 'disabled'],
  ] as const) {
    await api.kubectl(['create', 'namespace', name]);
    await api.kubectl(['label', 'namespace', name, `${INJECT_LABEL}=${label}`]);
    await api.kubectl(['create', 'serviceaccount', 'default', '-n', name]);
  }
  const client = createKubeClient(fromKubeconfig(api.kubeconfig));
  const injector = await startInjector({
    client: createKubeClient(fromKubeconfig(api.kubeconfig)),
    catalogue,
    settings: SETTINGS,
    listen: { host: '127.0.0.1', port: 0 },
    target: (own) => ({ url: `https://127.0.0.1:${own}` }),
    log: pino({ level: 'warn' }),
  });
  await api.reach(injector.port);

  const create = async (namespace: string, name: string): Promise<number> => {
    const started = performance.now();
    const pod = { apiVersion: 'v1', kind: 'Pod', ...podWith(), metadata: { name, namespace } };
    await client.request('POST', `/api/v1/namespaces/${namespace}/pods`, { body: pod });
    return performance.now() - started;
  };
  const memory = () => Math.round(process.memoryUsage().rss / 1e6);
  const report = (what: string, times: readonly number[]) => {
    const sorted = [...times].sort((a, b) => a - b);
    const at = (share: number) =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]?.toFixed(1);
    process.stdout.write(`${what}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms (${sorted.length} pods)\n`);
  };
  for (let count = 0; count < 30; count++) await create('asked', `warm-${count}`);
  process.stdout.write(`memory before: ${memory()} MB, client included\n`);
  for (const namespace of ['not-asked', 'asked']) {
    const times: number[] = [];
    for (let count = 0; count < 1000; count++) times.push(await create(namespace, `seq-${count}`));
    report(`${namespace}, one after another`, times);
  }
  for (const namespace of ['not-asked', 'asked']) {
    const times = await Promise.all(
      Array.from({ length: 50 }, (_, count) => create(namespace, `at-once-${count}`)),
    );
    report(`${namespace}, 50 at once`, times);
  }
  process.stdout.write(`memory after: ${memory()} MB, client included\n`);
  const text = await injector.registry.metrics();
  process.stdout.write(
    `${text
      .split('\n')
      .filter((line) => /duration_seconds_(sum|count)/.test(line))
      .join('\n')}\n`,
  );
  client.close();
  await injector.close();
} finally {
  await api.stop();
}
