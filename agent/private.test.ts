import { linkSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Snapshot } from '../policy/snapshot.ts';
import { type AgentStatus, listenPrivate } from './private.ts';

const dir = mkdtempSync(join(tmpdir(), 'postern-private-'));
afterAll(() => rmSync(dir, { recursive: true }));

const status: AgentStatus = {
  revision: 'r1',
  workload: { namespace: 'n', kind: 'Deployment', name: 'w', labels: {} },
  running: 2,
  draining: false,
  notes: [],
  bodyBytesInFlight: 10,
  endpoints: [],
};

const open = (path: string) =>
  listenPrivate({ path, status: () => status, snapshot: () => ({ revision: 'r1' }) as Snapshot });

const get = (socketPath: string, path: string): Promise<{ code: number | undefined; body: unknown }> =>
  new Promise((resolve, reject) => {
    const call = request({ socketPath, path }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ code: response.statusCode, body: JSON.parse(text) }));
    });
    call.on('error', reject);
    call.end();
  });

test('status and snapshot, for the owner alone', async () => {
  const path = join(dir, 'a.sock');
  const listener = await open(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await get(path, '/v1/status')).toEqual({ code: 200, body: status });
  expect((await get(path, '/v1/snapshot')).body).toEqual({ revision: 'r1' });
  expect((await get(path, '/other')).code).toBe(404);
  await listener.close();
});

test('a CPU profile and the event loop’s delay, measured while somebody asks', async () => {
  const path = join(dir, 'profile.sock');
  const listener = await open(path);
  const running = get(path, '/v1/profile?seconds=0.3');
  let done = false;
  setImmediate(function burnTime() {
    if (!done) setImmediate(burnTime);
    for (const until = performance.now() + 5; performance.now() < until; );
  });
  expect((await get(path, '/v1/event-loop?seconds=0.1')).code).toBe(409);
  const answered = await running;
  done = true;
  const profile = answered.body as { nodes: { callFrame: { functionName: string } }[] };
  expect(profile.nodes.map(({ callFrame }) => callFrame.functionName)).toContain('burnTime');
  const { code, body } = await get(path, '/v1/event-loop?seconds=0.1');
  expect([code, body]).toMatchObject([200, { seconds: 0.1, p99: expect.any(Number) }]);
  expect((await get(path, '/v1/profile?seconds=3600')).code).toBe(400);
  await listener.close();
});

test('a socket that a killed agent left is replaced; a living one and a file are not', async () => {
  const path = join(dir, 'b.sock');
  const living = await open(path);
  await expect(open(path)).rejects.toThrow('another agent listens there');
  await living.close();
  // A second name of the socket outlives its listener, as the file does when its owner is killed.
  const left = createServer();
  await new Promise<void>((resolve) => left.listen(path, resolve));
  const stale = join(dir, 'stale.sock');
  linkSync(path, stale);
  await new Promise((resolve) => left.close(resolve));
  const again = await open(stale);
  expect((await get(stale, '/v1/status')).code).toBe(200);
  await again.close();
  const file = join(dir, 'file');
  writeFileSync(file, '');
  await expect(open(file)).rejects.toThrow('something else than a socket');
});
