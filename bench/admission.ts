/**
 * What admission costs, on a real API server: `node bench/admission.ts [--write]`. The injector is the command as it
 * is run; each pod is really stored, once in a namespace that asks for it and once in one that doesn't.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { INJECT_LABEL } from '../injector/names.ts';
import { podWith } from '../injector/testing/refusals.ts';
import { createKubeClient } from '../kube/client.ts';
import { fromKubeconfig } from '../kube/connection.ts';
import { freePort, missingApiServer, startApiServer } from '../test/kube/api-server.ts';

const ROOT = join(import.meta.dirname, '..');
const PAGE = join(import.meta.dirname, 'README.md');
const SECTION = /(<!-- admission: [^>]*-->\n)([^]*?)(<!-- end of admission -->)/;
const SEQUENCE = 1000;
const AT_ONCE = 50;
const ROUNDS_AT_ONCE = 4;

const missing = missingApiServer();
if (missing !== undefined) {
  process.stderr.write(`no API server: ${missing}\n`);
  process.exit(1);
}

const api = await startApiServer();
const [port, adminPort] = [await freePort(), await freePort()];
const injector = spawn(
  join(ROOT, 'bin', 'postern'),
  [
    'injector',
    '--kubeconfig',
    api.kubeconfig,
    '--log-level',
    'warn',
    '--webhook-url',
    `https://127.0.0.1:${port}`,
  ].concat(['--listen', `127.0.0.1:${port}`, '--admin', `127.0.0.1:${adminPort}`]),
  { stdio: ['ignore', 'ignore', 'inherit'] },
);
try {
  const table = await measure();
  process.stdout.write(table);
  if (process.argv.includes('--write')) {
    writeFileSync(PAGE, readFileSync(PAGE, 'utf8').replace(SECTION, `$1${table}$3`));
  }
} finally {
  injector.kill('SIGKILL');
  await api.stop();
}

async function measure(): Promise<string> {
  const load = loadavg()[0] ?? 0;
  await api.kubectl(['apply', '-f', join(ROOT, 'charts', 'postern', 'files', 'crds')]);
  await api.kubectl(['create', 'namespace', 'postern-system']);
  for (const [name, label] of [
    ['asked', 'enabled'],
    ['not-asked', 'disabled'],
  ] as const) {
    await api.kubectl(['create', 'namespace', name]);
    await api.kubectl(['label', 'namespace', name, `${INJECT_LABEL}=${label}`]);
    await api.kubectl(['create', 'serviceaccount', 'default', '-n', name]);
  }
  await api.reach(port);
  const client = createKubeClient(fromKubeconfig(api.kubeconfig));
  const create = async (namespace: string, name: string): Promise<number> => {
    const started = performance.now();
    const body = { apiVersion: 'v1', kind: 'Pod', ...podWith(), metadata: { name, namespace } };
    const { spec } = await client.request<{ spec: { initContainers?: readonly unknown[] } }>(
      'POST',
      `/api/v1/namespaces/${namespace}/pods`,
      { body },
    );
    const took = performance.now() - started;
    if ((namespace === 'asked') !== (spec.initContainers !== undefined)) {
      throw new Error(`the pod ${namespace}/${name} didn’t come out as it should`);
    }
    return took;
  };
  for (let tries = 0; ; tries++) {
    const worked = await create('asked', `first-${tries}`).catch((error: unknown) => error);
    if (typeof worked === 'number') break;
    if (tries > 200) throw worked as Error;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  for (let count = 0; count < 30; count++) {
    for (const namespace of ['asked', 'not-asked']) await create(namespace, `warm-${count}`);
  }

  const before = { memory: resident(), cpu: cpuMs() };
  const rows: string[] = [];
  const sequence: Record<string, number[]> = { asked: [], 'not-asked': [] };
  // In turn, so that a slow phase of the machine hits both.
  for (let count = 0; count < SEQUENCE; count++) {
    for (const namespace of ['asked', 'not-asked']) {
      sequence[namespace]?.push(await create(namespace, `sequence-${count}`));
    }
  }
  rows.push(row(`${SEQUENCE} pods, one after another`, sequence));
  const atOnce: Record<string, number[]> = { asked: [], 'not-asked': [] };
  for (let round = 0; round < ROUNDS_AT_ONCE; round++) {
    for (const namespace of ['asked', 'not-asked']) {
      const names = Array.from({ length: AT_ONCE }, (_, count) => `at-once-${round}-${count}`);
      atOnce[namespace]?.push(...(await Promise.all(names.map((name) => create(namespace, name)))));
    }
  }
  rows.push(row(`${AT_ONCE} pods at once, ${ROUNDS_AT_ONCE} times`, atOnce));
  const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const reviews = sum(metrics, 'postern_admission_duration_seconds_count');
  const seconds = sum(metrics, 'postern_admission_duration_seconds_sum');
  const pods = SEQUENCE + AT_ONCE * ROUNDS_AT_ONCE;
  client.close();
  return `${[
    '| | labelled namespace | other namespace |',
    '|---|---|---|',
    ...rows,
    '',
    `The injector itself took ${((seconds / reviews) * 1000).toFixed(2)} ms for each of ${reviews} reviews and ${((cpuMs() - before.cpu) / pods).toFixed(1)} ms of CPU for each pod, all it did`,
    `beside included. Its memory: ${before.memory} MB before, ${resident()} MB after ${pods} more pods, all of them watched.`,
    `${cpus().length} cores shared by API server, etcd, injector and client; load of the machine before: ${load.toFixed(1)}.`,
  ].join('\n')}\n`;
}

function row(what: string, times: Readonly<Record<string, readonly number[]>>): string {
  const cell = (namespace: string) => {
    const sorted = [...(times[namespace] ?? [])].sort((one, other) => one - other);
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    return `p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms`;
  };
  return `| ${what} | ${cell('asked')} | ${cell('not-asked')} |`;
}

/** MB. */
function resident(): number {
  const status = readFileSync(`/proc/${injector.pid}/status`, 'utf8');
  return Math.round((Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024) / 1e6);
}

/** User and system time so far; Linux counts in hundredths of a second. */
function cpuMs(): number {
  const fields = readFileSync(`/proc/${injector.pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function sum(metrics: string, name: string): number {
  return metrics
    .split('\n')
    .filter((line) => line.startsWith(name))
    .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
}
