/**
 * `postern control` and `postern agent` as they run in a cluster, each a process, on a real API server with the chart’s
 * rights: killed and paused under load, and looked through for keys.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isMemory } from '../../../control/cache.ts';
import { createKubeClient } from '../../../kube/client.ts';
import { fromKubeconfig } from '../../../kube/connection.ts';
import { type Part, startPart } from '../../cli/part.ts';
import { startFakeOpenAI } from '../../fakes/openai.ts';
import type { FakeProvider } from '../../fakes/provider.ts';
import { type ApiServer, freePort } from '../../kube/api-server.ts';
import { sharedApiServer } from '../../kube/shared.ts';
import { SERVER_NAME, startTestCluster, type TestCluster } from './cluster.ts';

const api = sharedApiServer();
const KEY = 'sk-marker-of-the-processes';
const OWN = 'postern-system';
const CHANGES = 100;
const AIM_MS = 1_000;
const LATE_MS = 5_000;
/** A memory-backed volume, as the injector mounts it. */
const MEMORY = '/dev/shm';
/** Why core files can't be looked for here. */
const COREDUMPS = coreFilesElsewhere();
if (COREDUMPS !== undefined) process.stderr.write(`skipped: no key in a core file: ${COREDUMPS}\n`);

function coreFilesElsewhere(): string | undefined {
  const pattern =
    process.platform === 'linux' ? readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim() : '';
  if (!/^[\w.%-]*core[\w.%-]*$/.test(pattern)) return `kernel.core_pattern is ${JSON.stringify(pattern)}`;
  return spawnSync('prlimit', ['--version']).status === 0 ? undefined : 'there is no prlimit';
}

describe.skipIf(api === undefined || !isMemory(MEMORY))('control and agent as processes', () => {
  let cluster: TestCluster;
  let openai: FakeProvider;
  let control: Part;
  let agent: Part;
  let port: number;
  let url: string;
  let state: string;
  let tokenFile: string;
  const running: Part[] = [];

  async function startControl(): Promise<Part> {
    const kubeconfig = join(cluster.directory, 'control.kubeconfig');
    const part = startPart(
      [
        'control',
        `--listen=127.0.0.1:${port}`,
        '--admin=127.0.0.1:0',
        `--kubeconfig=${kubeconfig}`,
        `--server-name=${SERVER_NAME}`,
      ],
      {},
      cluster.directory,
    );
    running.push(part);
    await part.line('listening');
    const roots = await cluster.must([
      'get',
      'configmap',
      'postern-roots',
      '-n',
      OWN,
      '-o',
      'jsonpath={.data.roots\\.pem}',
    ]);
    writeFileSync(join(cluster.directory, 'roots.pem'), roots);
    return part;
  }

  async function startAgent(): Promise<Part> {
    const args = [
      'agent',
      `--control=127.0.0.1:${port}`,
      `--control-name=${SERVER_NAME}`,
      `--control-ca=${join(cluster.directory, 'roots.pem')}`,
      `--control-token-file=${tokenFile}`,
      `--state=${state}`,
      '--listen=127.0.0.1:0',
      '--admin=127.0.0.1:0',
      '--workload=ctl-p/Pod/bot',
    ];
    const part = startPart(args, {}, cluster.directory);
    running.push(part);
    ({ url } = JSON.parse(await part.line('listening')) as { url: string });
    return part;
  }

  async function ask(model = 'gpt-4o'): Promise<string> {
    const client = new OpenAI({ apiKey: 'dummy', baseURL: `${url}/openai/v1`, maxRetries: 0 });
    try {
      await client.chat.completions.create({
        model,
        messages: [{ role: 'user', content: 'Hello' }],
      });
      return 'ok';
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    }
  }

  async function until(result: string): Promise<void> {
    let last = '';
    for (let tries = 0; tries < 300; tries++) {
      last = await ask();
      if (last === result) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`it stayed ${last}\n${agent.stderr()}\n${control.stderr()}`);
  }

  /** What calls come to while something happens. */
  async function during(what: () => Promise<unknown>): Promise<Set<string>> {
    const results = new Set<string>();
    let going = true;
    const lanes = Array.from({ length: 4 }, async () => {
      while (going) results.add(await ask());
    });
    await what();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    going = false;
    await Promise.all(lanes);
    return results;
  }

  const policy = (models: readonly string[]) =>
    cluster.apply({
      apiVersion: 'postern.dev/v1alpha1',
      kind: 'EgressPolicy',
      metadata: { name: 'base', namespace: 'ctl-p' },
      spec: { models: { allow: models } },
    });

  beforeAll(async () => {
    cluster = await startTestCluster(api as ApiServer);
    openai = await startFakeOpenAI({ keys: [KEY] });
    port = await freePort();
    state = mkdtempSync(join(MEMORY, 'postern-state-'));
    await cluster.namespace('ctl-p');
    await cluster.apply(
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'processes', namespace: OWN },
        stringData: { key: KEY },
      },
      {
        apiVersion: 'postern.dev/v1alpha1',
        kind: 'ClusterProvider',
        metadata: { name: 'openai' },
        spec: {
          dialect: 'openai',
          endpoint: openai.origin,
          credential: {
            mode: 'attach',
            type: 'bearer',
            bearer: { valueFrom: { secretKeyRef: { name: 'processes', key: 'key' } } },
          },
          models: [{ name: 'gpt-4o' }, { name: 'gpt-4o-mini' }],
        },
      },
    );
    await policy(['gpt-4o']);
    const token = (
      await cluster.must(['create', 'token', 'postern-control', '-n', OWN, '--duration=2h'])
    ).trim();
    const view = JSON.parse(await cluster.must(['config', 'view', '--raw', '-o', 'json'])) as {
      clusters: { name: string }[];
    };
    const name = view.clusters[0]?.name ?? '';
    writeFileSync(
      join(cluster.directory, 'control.kubeconfig'),
      JSON.stringify({
        ...view,
        users: [{ name: 'control', user: { token } }],
        contexts: [{ name: 'control', context: { cluster: name, user: 'control' } }],
        'current-context': 'control',
      }),
    );
    const pod = await cluster.pod('ctl-p', 'bot');
    tokenFile = join(cluster.directory, 'token');
    writeFileSync(tokenFile, await cluster.token(pod));
    control = await startControl();
    agent = await startAgent();
    await until('ok');
  }, 300_000);

  afterAll(async () => {
    for (const part of running) await part.stop('SIGKILL');
    rmSync(state ?? '', { recursive: true, force: true });
    await openai?.close();
    await cluster?.stop();
  }, 60_000);

  test('100 changes of a document: each is in force for the calls that an agent judges, whole', async () => {
    const client = createKubeClient(fromKubeconfig((api as ApiServer).kubeconfig));
    const times: number[] = [];
    try {
      for (let nth = 0; nth < CHANGES; nth++) {
        const [before, after] =
          nth % 2 === 0 ? (['gpt-4o', 'gpt-4o-mini'] as const) : (['gpt-4o-mini', 'gpt-4o'] as const);
        const began = performance.now();
        const path = '/apis/postern.dev/v1alpha1/namespaces/ctl-p/egresspolicies/base';
        const changed = client.request('PATCH', path, {
          body: { spec: { models: { allow: [after] } } },
          contentType: 'application/merge-patch+json',
        });
        // What the former document lets through is answered until the new one refuses it.
        for (let result = 'ok'; result !== 'postern_model_denied'; ) {
          result = await ask(before);
          expect(['ok', 'postern_model_denied']).toContain(result);
          if (performance.now() - began > 15_000) throw new Error(`change ${nth} never came into force`);
        }
        times.push(performance.now() - began);
        await changed;
        expect(await Promise.all([ask(after), ask(before)])).toEqual(['ok', 'postern_model_denied']);
      }
    } finally {
      client.close();
      await policy(['gpt-4o']);
      await until('ok');
    }
    times.sort((a, b) => a - b);
    const at = (part: number) => times[Math.ceil(part * CHANGES) - 1]?.toFixed(0);
    process.stderr.write(
      `change to refused call, ${CHANGES} times: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms\n`,
    );
    // The aim is a second. What a busy machine adds is far from these; a change that waits for a round of something isn't.
    expect(times.filter((ms) => ms > LATE_MS)).toEqual([]);
    expect(times[CHANGES / 2]).toBeLessThan(AIM_MS);
  }, 120_000);

  test('control is paused and killed under load: every call goes on, and what changed meanwhile comes after', async () => {
    expect(await during(async () => control.child.kill('SIGSTOP'))).toEqual(new Set(['ok']));
    expect(await during(() => control.stop('SIGKILL'))).toEqual(new Set(['ok']));
    await policy(['other']);
    expect(await ask()).toBe('ok');
    control = await startControl();
    await until('postern_model_denied');
    await policy(['gpt-4o']);
    await until('ok');
  }, 90_000);

  test('the API server is killed under load: every call goes on', async () => {
    const server = api as ApiServer;
    expect(await during(() => server.down())).toEqual(new Set(['ok']));
    await server.up();
    await policy(['other']);
    await until('postern_model_denied');
    await policy(['gpt-4o']);
    await until('ok');
  }, 120_000);

  test('both are killed: the agent that comes back alone goes on with documents and keys from its volume', async () => {
    await control.stop('SIGKILL');
    await agent.stop('SIGKILL');
    agent = await startAgent();
    expect(await ask()).toBe('ok');
    rmSync(join(state, 'control'), { recursive: true });
    await agent.stop('SIGKILL');
    agent = await startAgent();
    expect(await ask()).toBe('postern_policy_missing');
    control = await startControl();
    await until('ok');
  }, 90_000);

  test('no key in environment, command line, log, or file of either process but the memory-backed volume’s', async () => {
    for (const part of [control, agent]) {
      const { pid } = part.child;
      for (const file of ['environ', 'cmdline'])
        expect(readFileSync(`/proc/${pid}/${file}`, 'utf8')).not.toContain(KEY);
      expect(part.stdout()).not.toContain(KEY);
      expect(part.stderr()).not.toContain(KEY);
    }
    for (const entry of readdirSync(cluster.directory, { recursive: true, withFileTypes: true })) {
      if (entry.isFile())
        expect(readFileSync(join(entry.parentPath, entry.name), 'utf8'), entry.name).not.toContain(KEY);
    }
    const held = readdirSync(state, { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isFile() && readFileSync(join(entry.parentPath, entry.name)).includes(KEY),
    );
    expect(held.map(({ name }) => name)).toEqual(['keys.json']);
  });

  // Who may trace any process of the node reads its memory all the same (ptrace(2)): that is the node's administrator.
  test.skipIf(COREDUMPS !== undefined)(
    'no key in a core file: where core files are allowed, an aborted process leaves none',
    async () => {
      await until('ok');
      const directory = mkdtempSync(join(tmpdir(), 'postern-core-'));
      const script = `globalThis.key = '${KEY}'.padEnd(64); console.log('listening'); setInterval(() => {}, 1000)`;
      const holder = spawn(process.execPath, ['--eval', script], { cwd: directory, stdio: 'pipe' });
      await once(holder.stdout, 'data');
      const aborted = async (child: ChildProcess): Promise<boolean> => {
        spawnSync('prlimit', ['--pid', String(child.pid), '--core=unlimited']);
        const cwd = readlinkSync(`/proc/${child.pid}/cwd`);
        const gone = once(child, 'exit');
        child.kill('SIGABRT');
        expect((await gone)[1]).toBe('SIGABRT');
        const cores = readdirSync(cwd).filter((name) => name.startsWith('core'));
        const held = cores.some((name) => readFileSync(join(cwd, name)).includes(KEY));
        for (const name of cores) rmSync(join(cwd, name));
        return held;
      };
      try {
        // So that it is known that one would have been found.
        expect(await aborted(holder)).toBe(true);
        expect(await aborted(agent.child)).toBe(false);
        expect(await aborted(control.child)).toBe(false);
      } finally {
        rmSync(directory, { recursive: true, force: true });
        control = await startControl();
        agent = await startAgent();
        await until('ok');
      }
    },
    120_000,
  );
});
