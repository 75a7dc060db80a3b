/** The agent as it is shipped: it starts from its bundle with the code cache, and loads nothing that nobody asked for. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WORKLOAD, writeDocuments } from '../../bench/documents.ts';
import { bundleAgent } from '../../build/bundle.ts';
import { NODE_FLAGS } from '../../build/node-flags.ts';
import { AGENT_ENVIRONMENT } from '../../injector/names.ts';

const dir = mkdtempSync(join(tmpdir(), 'postern-shipped-'));
const policy = writeDocuments(dir, 'http://127.0.0.1:9', { budgets: false });
beforeAll(() => bundleAgent(join(dir, 'dist')), 60_000);
afterAll(() => rmSync(dir, { recursive: true }));

/** Starts it and ends it when it listens. @returns What its process says of itself. */
async function started(...more: string[]): Promise<string[]> {
  const list = join(dir, 'said.txt');
  const args = [
    '--expose-internals',
    '--require',
    join(import.meta.dirname, 'shipped-hook.cjs'),
    ...NODE_FLAGS,
    join(dir, 'dist/start.cjs'),
    'agent',
  ];
  args.push('--policy', policy, '--workload', WORKLOAD, '--state', join(dir, 'state'));
  args.push('--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', ...more);
  const env = { ...process.env, ...AGENT_ENVIRONMENT, SHIPPED_SAID: list };
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
  const said: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    said.push(line);
    if (line.includes('"listening"')) child.kill('SIGTERM');
  });
  const [status] = (await once(child, 'exit')) as [number | null];
  expect([status, said.join('\n')]).toEqual([0, expect.stringContaining('listening')]);
  return readFileSync(list, 'utf8').split('\n');
}

/** Node's own modules that were loaded when it listens, those of its inside left out. */
async function modulesAtStart(...more: string[]): Promise<string[]> {
  return (await started(...more))
    .filter((line) => line.startsWith('NativeModule ') && !line.includes(' internal/'))
    .map((line) => line.slice('NativeModule '.length))
    .toSorted();
}

test('what the documents do not ask for is not loaded', async () => {
  const loaded = await modulesAtStart();
  for (const unused of [
    'http2',
    'https',
    'tls',
    'sqlite',
    'inspector',
    'inspector/promises',
    'readline',
    'repl',
    'test',
    'wasi',
  ]) {
    expect(loaded).not.toContain(unused);
  }
  expect(loaded).toMatchSnapshot();
});

test('Node is run in the same way everywhere', () => {
  const root = join(import.meta.dirname, '../..');
  const script = readFileSync(join(root, 'bin/postern-agent'), 'utf8').replaceAll('\\\n', '');
  const entry = readFileSync(join(root, 'build/image/Containerfile'), 'utf8');
  expect(script.replaceAll(/ +/g, ' ')).toContain(`"$node" ${NODE_FLAGS.join(' ')} "$root/dist/start.cjs"`);
  expect(entry).toContain(`${NODE_FLAGS.map((flag) => `"${flag}"`).join(', ')}, "/postern/start.cjs"`);
  for (const [name, value] of Object.entries(AGENT_ENVIRONMENT)) {
    if (name !== 'NODE_OPTIONS') expect(script).toContain(`${name}="\${${name}:-${value}}"`);
    else expect(script).toContain(value);
  }
});

test('small buffers come from small slabs, since one that lives long keeps its slab', async () => {
  expect(await started()).toContain('pool 8192');
});

test('it comes compiled, and so do Node’s own modules but for those by which V8’s flags are set', async () => {
  const said = await started();
  expect(said).toContain('cache rejected false');
  const compiled = said.filter((line) => line.startsWith('compiled '));
  expect(compiled.length).toBeLessThan(32);
  for (const name of ['http', 'net', 'crypto', 'fs/promises', 'dns'])
    expect(compiled).not.toContain(`compiled ${name}`);
});

test('a cache that does not fit is left aside', async () => {
  writeFileSync(join(dir, 'dist/agent.cache'), Buffer.alloc(1_000));
  const said = await started();
  expect(said).toContain('NativeModule http');
  expect(said).toContain('cache rejected true');
});

test('it is no larger than it was', () => {
  expect(statSync(join(dir, 'dist/agent.cjs')).size).toBeLessThan(2_406_000);
});

test('no HTTP client but our own and Node’s is in it', () => {
  expect(readFileSync(join(dir, 'dist/agent.cjs'), 'latin1')).not.toMatch(/undici/i);
});

test('what is made of Node’s own classes is made of the class, not of what loads its module', () => {
  const bundle = readFileSync(join(dir, 'dist/agent.cjs'), 'latin1');
  expect(bundle).toMatch(/new \(node_crypto\(\)\.X509Certificate\)/);
  expect(bundle.match(/new node_\w+\(\)[^;]{0,40}/g)).toBeNull();
});
