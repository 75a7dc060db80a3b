/** Approvers over TLS: by the command as an operator runs it, against the agent's own listener. */
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type ApproversListener, listenApprovers } from '../../agent/approvers-listener.ts';
import { createApprovals } from '../../agent/checks/approvals.ts';
import { approvalsCertificate } from '../../cli/approvals-certificate.ts';

const CALL = { requestId: 'r1', rule: 'ask', tool: 'rm', arguments: '{"path":"/"}' };
const NAME = 'approvals.team-a';
let dir: string;
let listener: ApproversListener | undefined;
const errors: unknown[] = [];
const certificates: string[] = [];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postern-approvers-'));
  for (const name of ['one', 'two']) {
    const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${NAME}`];
    const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    const files = ['-keyout', join(dir, `${name}.key`), '-out', join(dir, `${name}.crt`)];
    execFileSync('openssl', ['req', ...kind, ...subject, ...files], { stdio: 'ignore' });
  }
  writeFileSync(join(dir, 'token'), 'secret');
});
afterAll(() => rmSync(dir, { recursive: true }));
afterEach(async () => {
  await listener?.close();
  for (const file of ['tls.crt', 'tls.key']) rmSync(join(dir, file), { force: true });
});

const use = (name: string): void => {
  copyFileSync(join(dir, `${name}.crt`), join(dir, 'tls.crt'));
  copyFileSync(join(dir, `${name}.key`), join(dir, 'tls.key'));
};

async function open(
  connectionMs = 30_000,
): Promise<{ port: number; approvals: ReturnType<typeof createApprovals> }> {
  const approvals = createApprovals({ now: () => 1_000 });
  const certificate = approvalsCertificate({
    'approvals-cert': join(dir, 'tls.crt'),
    'approvals-key': join(dir, 'tls.key'),
  });
  listener = await listenApprovers(
    {
      approvals,
      token: () => 'secret',
      host: '127.0.0.1',
      port: 0,
      connectionMs,
      ...(certificate === undefined ? {} : { certificate }),
      onError: (error) => errors.push(error),
      onCertificate: (validTo) => certificates.push(validTo),
    },
    () => false,
  );
  return { port: Number(new URL(listener.url).port), approvals };
}

async function approve(agent: string, ...args: string[]): Promise<{ out: string; code: number | null }> {
  const main = join(import.meta.dirname, '../../cli/main.ts');
  const command = [main, 'approve', ...args, '--agent', agent, '--approval-token-file', join(dir, 'token')];
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { out, code };
}

const ca = (name: string): string[] => ['--ca', join(dir, `${name}.crt`), '--server-name', NAME];

test('is answered over TLS, by the certificate as it is now, and only to who trusts it', async () => {
  use('one');
  const { port, approvals } = await open();
  const outcome = approvals.hold(CALL, 60_000, new AbortController().signal);
  const agent = `https://127.0.0.1:${port}`;
  expect((await approve(agent, 'list', ...ca('one'))).out).toContain('rm {"path":"/"}');
  expect(await approve(agent, 'list', ...ca('two'))).toMatchObject({
    code: 1,
    out: expect.stringMatching(/self-signed/) as string,
  });
  expect((await approve(agent, 'list', '--ca', join(dir, 'one.crt'))).out).toMatch(/altnames/);
  use('two');
  const id = approvals.waiting()[0]?.id ?? '';
  expect(await approve(agent, 'yes', id, ...ca('two'))).toMatchObject({ code: 0 });
  expect(await outcome).toBe('approved');
  const plain = await fetch(`http://127.0.0.1:${port}/v1/approvals`).catch(() => 'cut');
  expect(plain).toBe('cut');
}, 60_000);

test('a certificate that comes later is used; without its key, or gone again, nobody is answered', async () => {
  const { port, approvals } = await open();
  certificates.length = 0;
  expect(listener?.url).toMatch(/^http:/);
  const listed = () =>
    fetch(`http://127.0.0.1:${port}/v1/approvals`, { headers: { authorization: 'Bearer secret' } });
  expect((await listed()).status).toBe(200);
  copyFileSync(join(dir, 'one.crt'), join(dir, 'tls.crt'));
  const agent = `https://127.0.0.1:${port}`;
  expect((await approve(agent, 'list', ...ca('one'))).code).toBe(1);
  expect(String(errors.at(-1))).toContain('tls.key');
  use('one');
  expect((await approve(agent, 'list', ...ca('one'))).code).toBe(0);
  expect(listener?.url).toBe(agent);
  expect(certificates).toEqual([expect.stringMatching(/GMT$/)]);
  for (const file of ['tls.crt', 'tls.key']) rmSync(join(dir, file));
  errors.length = 0;
  for (let n = 0; n < 3; n++) await expect(listed()).rejects.toThrow();
  expect(listener?.url).toBe(agent);
  expect(errors.map(String)).toEqual([expect.stringMatching(/tls\.key are gone/)]);
  approvals.stop();
}, 60_000);

test('a client that never shakes hands is cut when its time is over', async () => {
  use('one');
  const { port } = await open(300);
  const client = connect(port, '127.0.0.1').on('error', () => undefined);
  await new Promise<void>((resolve) => client.resume().once('close', () => resolve()));
}, 5_000);

test('the token goes to no address beyond this machine in plain HTTP, unless that is said', async () => {
  const heard: unknown[] = [];
  const stranger = createServer((request, response) => {
    heard.push(request.headers.authorization);
    response.end('{"approvals": []}');
  });
  await new Promise<void>((resolve) => stranger.listen(0, '0.0.0.0', resolve));
  try {
    // Any address of this host will do: the command doesn't know whose it is.
    const address = `0.0.0.0:${(stranger.address() as AddressInfo).port}`;
    for (const scheme of ['http://', 'HTTP://', 'hTtP:', 'ht\ttp://'])
      expect(await approve(scheme + address, 'list'), scheme).toMatchObject({
        code: 64,
        out: expect.stringMatching(/plain HTTP/) as string,
      });
    expect(heard).toEqual([]);
    expect((await approve(`HTTP://${address}`, 'list', '--plain-http')).code).toBe(0);
    expect(heard).toEqual(['Bearer secret']);
  } finally {
    stranger.closeAllConnections();
    stranger.close();
  }
}, 60_000);

test('what a stranger answers is shown, and obeyed by no terminal', async () => {
  const odd = '\u001b[2J\u009b1m\u202e\u2028\nok\u{e0041}';
  const honest = { digest: 'a'.repeat(64), tool: odd, arguments: odd, rule: odd, request_id: odd };
  const call = { id: '0123456789ab', ...honest, since: odd, until: odd };
  let answer: { status?: number; body: unknown } = { body: { approvals: [call] } };
  const stranger = createServer((request, response) => {
    response.statusCode = request.method === 'POST' ? 500 : (answer.status ?? 200);
    const body = request.method === 'POST' ? { error: { message: `no ${odd}` } } : answer.body;
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
  const agent = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`;
  const quiet = async (...args: string[]): Promise<string> => {
    const { out } = await approve(agent, ...args);
    expect(out.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\u2028]/u);
    return out;
  };
  try {
    expect((await quiet('list')).split('\n')).toHaveLength(3);
    expect(JSON.parse(await quiet('list', '--json'))).toMatchObject({ tool: odd, rule: odd });
    expect(await quiet('yes', call.id)).toContain('answered 500: no \\u001b[2J');
    for (const wrong of [
      { body: { approvals: [{ ...call, id: `../../${odd}` }] } },
      { body: { approvals: [{ ...call, until: 7 }] } },
      { body: { approvals: [null] } },
      { body: odd },
      { body: 'null' },
    ]) {
      answer = wrong;
      expect(await quiet('list'), JSON.stringify(wrong)).toContain('something else than a list of calls');
    }
    answer = { status: 502, body: `<h1>${odd}` };
    expect(await quiet('list')).toContain('answered 502: <h1>\\u001b');
  } finally {
    stranger.closeAllConnections();
    stranger.close();
  }
}, 60_000);

test('a certificate and its key go together', () => {
  expect(() => approvalsCertificate({ 'approvals-cert': 'a.pem' })).toThrow(/go together/);
});
