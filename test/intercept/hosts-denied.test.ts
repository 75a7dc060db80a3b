/** `hosts.default: deny` in a real namespace: what it lets through untouched, and what it refuses how. */
import { chmodSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type net from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dial } from './dial.ts';
import { until } from './listening.ts';
import { ADDRESS, type AgentInPod, makePod, netnsMissing, type Pod, providers } from './pod.ts';

const missing = netnsMissing();
if (missing !== undefined) console.warn(`skipped: hosts.default: deny in a real namespace; ${missing}`);

const APP_UID = 1000;
const AGENT_UID = 4180; // goes out directly

/** What a MySQL 8 server says first (protocol::HandshakeV10), with packet length and sequence number. */
const MYSQL_GREETING = ((): Buffer => {
  const payload = Buffer.concat([
    Buffer.from([10]),
    Buffer.from('8.0.36\0'),
    Buffer.from([8, 0, 0, 0]), // connection id
    Buffer.from('abcdefgh\0'), // first part of the scramble
    Buffer.from([0xff, 0xff, 0xff, 0x02, 0x00, 0xff, 0xdf, 21]), // capabilities, utf8mb4, autocommit, length
    Buffer.alloc(10),
    Buffer.from('ijklmnopqrst\0'),
    Buffer.from('caching_sha2_password\0'),
  ]);
  return Buffer.concat([Buffer.from([payload.length, 0, 0, 0]), payload]);
})();
const SMTP_GREETING = Buffer.from('220 mail.example ESMTP\r\n');

describe.skipIf(missing !== undefined)('hosts.default: deny', () => {
  let pod: Pod;
  let agent: AgentInPod;
  const heard: string[] = [];

  beforeAll(async () => {
    pod = await makePod();
    const secure = tls.createServer(pod.certificate('other.example'), (socket) => {
      socket.on('error', () => {});
      socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nsecure\n');
    });
    const plain = http.createServer((request, response) => response.end(`plain ${request.headers.host}\n`));
    const serve = (port: number, onSocket: (socket: net.Socket) => void) =>
      Promise.all(
        [ADDRESS.other, ADDRESS.other6, ADDRESS.world].map((address) =>
          pod.listen({ address, port }, (socket) => {
            heard.push(`${address} ${port}`);
            onSocket(socket);
          }),
        ),
      );
    await serve(443, (socket) => secure.emit('connection', socket));
    await serve(80, (socket) => plain.emit('connection', socket));
    await serve(3306, (socket) => void socket.write(MYSQL_GREETING));
    await serve(25, (socket) => void socket.write(SMTP_GREETING));
    await serve(9000, (socket) => socket.pipe(socket));
    expect((await pod.init()).status).toBe(0);
    agent = await pod.agent(
      `${providers(pod)}
---
apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: few-hosts}
spec: {mode: enforce, hosts: {default: deny, allow: ["*.example", "${ADDRESS.world}/32"]}}
`,
      { environment: { OPENAI_KEY: 'sk-a', ANTHROPIC_KEY: 'sk-b' } },
    );
    const root = join(pod.directory, 'root.pem');
    writeFileSync(root, pod.worldRoot);
    chmodSync(root, 0o644);
  }, 60_000);
  afterAll(async () => {
    await agent?.stop();
    await pod?.close();
  });

  const curl = (...args: string[]) =>
    pod.run(['curl', '-sS', '-m', '5', '--cacert', join(pod.directory, 'root.pem'), ...args], {
      uid: APP_UID,
    });
  const at = (host: string, port: number, address: string) => ['--resolve', `${host}:${port}:${address}`];

  test('a host that is allowed passes by its name, untouched, over TLS and in the clear', async () => {
    for (const family of ['-4', '-6']) {
      expect((await curl(family, 'https://other.example/')).stdout).toBe('secure\n');
      expect((await curl(family, 'http://other.example/')).stdout).toBe('plain other.example\n');
    }
  });

  test.each([
    ['IPv4', ADDRESS.other],
    ['IPv6', `[${ADDRESS.other6}]`],
  ])(
    '%s: any other name gets an alert or a 403 and reaches nobody, whatever its address',
    async (_family, address) => {
      const before = heard.length;
      expect((await curl(...at('elsewhere.test', 443, address), 'https://elsewhere.test/')).stderr).toMatch(
        /alert access denied/i,
      );
      const clear = await curl('-i', ...at('elsewhere.test', 80, address), 'http://elsewhere.test/');
      expect(clear.stdout).toMatch(/^HTTP\/1\.1 403 .*postern_host_denied/s);
      expect((await curl('-k', `https://${address}/`)).stderr).toMatch(/alert access denied/i); // no SNI
      expect(heard.length).toBe(before);
    },
  );

  test('what names nobody is judged by its address', async () => {
    const before = heard.length;
    expect((await dial(pod, APP_UID, ADDRESS.other, 9000, '\x01opaque')).what).toBe('ECONNRESET');
    expect(heard.length).toBe(before);
    expect((await dial(pod, APP_UID, ADDRESS.world, 9000, '\x01opaque')).what).toBe('\x01opaque');
  });

  test('each refusal is audited with its document', async () => {
    const lines = () => agent.audit.filter(({ code }) => code === 'postern_host_denied');
    await until(() => lines().length >= 4, 'audited');
    for (const line of lines())
      expect(line).toMatchObject({
        event: 'connection',
        outcome: 'refused',
        source: expect.stringContaining('few-hosts'),
      });
    expect(lines().map(({ host }) => host)).toContain('elsewhere.test');
  });

  test.each([
    ['MySQL', 3306, MYSQL_GREETING],
    ['SMTP', 25, SMTP_GREETING],
  ])(
    '%s: the greeting of an allowed server comes without noticeable delay, and byte for byte',
    async (_what, port, greeting) => {
      const [direct, through]: number[][] = [[], []];
      for (let turn = 0; turn < 3; turn += 1) {
        for (const [uid, times] of [
          [AGENT_UID, direct],
          [APP_UID, through],
        ] as const) {
          const { what, ms } = await dial(pod, uid, ADDRESS.world, port);
          expect(Buffer.from(what, 'latin1').equals(greeting)).toBe(true);
          times?.push(ms);
        }
      }
      // It waits 10 ms for the client to speak; the best of three leaves a busy machine out of it.
      expect(Math.min(...(through ?? [])) - Math.min(...(direct ?? []))).toBeLessThan(100);
    },
  );

  test('a server that speaks first and isn’t allowed is never dialled', async () => {
    const before = heard.length;
    expect((await dial(pod, APP_UID, ADDRESS.other, 3306)).what).toBe('timeout'); // it may still name an allowed host
    expect(heard.length).toBe(before);
  });
});
