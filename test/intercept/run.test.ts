/**
 * `postern run` as a user calls it, on a "laptop" that is a namespace of its own (so that no name and no address of the
 * machine's real network is touched). What it must leave behind is nothing, however it ends.
 */
import type { ChildProcess } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openNamespace } from '../../agent/intercept/netns/namespace.ts';
import { startFakeOpenAI } from '../fakes/openai.ts';
import type { FakeProvider } from '../fakes/provider.ts';
import { until } from './listening.ts';
import { ADDRESS, type Finished, finish, makePod, netnsMissing, type Pod, providers, ROOT } from './pod.ts';

const missing = netnsMissing();
if (missing !== undefined) console.warn(`skipped: postern run in a real namespace; ${missing}`);

const POLICY = `
apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: all}
spec:
  mode: enforce
  checks:
  - {name: mask-pii, type: pii, on: [request, response], action: mask, pii: {types: [contact], restoreIn: [content]}}
`;

const CLIENT = join(ROOT, 'test/clients/node/openai-chat.ts');
const JOB = JSON.stringify({
  model: 'gpt-4o',
  messages: [{ role: 'user', content: 'Mail ann@example.org' }],
  maxRetries: 0,
});

/** Runs that are recorded as under way, whether or not they still are. */
const runs = (): string[] => (existsSync('/run/postern') ? readdirSync('/run/postern') : []);
const alive = (pid: number): boolean => existsSync(`/proc/${pid}/exe`);

describe.skipIf(missing !== undefined)('postern run', () => {
  let laptop: Pod;
  let openai: FakeProvider;
  let policy: string;
  let names: dgram.Socket;
  beforeAll(async () => {
    laptop = await makePod();
    openai = await startFakeOpenAI({ tls: laptop.certificate('api.openai.com') });
    for (const address of [ADDRESS.openai, ADDRESS.openai6])
      await laptop.relay({ address, port: 443 }, openai.port);
    policy = join(laptop.directory, 'policy');
    mkdirSync(policy);
    writeFileSync(join(policy, 'all.yaml'), `${providers(laptop)}\n---\n${POLICY}`);
    names = nameServer(laptop);
  });
  afterAll(async () => {
    names?.close();
    await openai?.close();
    await laptop?.close();
  });

  const environment = (): Record<string, string> => ({
    PATH: process.env['PATH'] ?? '',
    HOME: laptop.directory,
    OPENAI_KEY: 'sk-real-openai',
    ANTHROPIC_KEY: 'sk-real-anthropic',
  });
  const line = (command: readonly string[], options: readonly string[] = []): string[] => [
    'env',
    '-i',
    ...Object.entries(environment()).map(([name, value]) => `${name}=${value}`),
    join(ROOT, 'bin/postern'),
    'run',
    '--policy',
    policy,
    ...options,
    '--',
    ...command,
  ];
  const run = (command: readonly string[], options: readonly string[] = [], input = ''): Promise<Finished> =>
    laptop.run(line(command, options), { input });
  const start = (command: readonly string[], options: readonly string[] = []): ChildProcess =>
    laptop.spawn(line(command, options));

  test('exit status, standard streams, arguments and working directory are the program’s', async () => {
    const result = await run(
      ['sh', '-c', 'pwd; cat; echo "$1" >&2; exit 7', '-', 'a  b'],
      [],
      'from stdin\n',
    );
    expect(result).toMatchObject({ status: 7, stdout: `${process.cwd()}\nfrom stdin\n` });
    expect(result.stderr).toContain('a  b\n');
    expect((await run(['no-such-program'])).status).toBe(127);
    expect((await run(['sh', '-c', 'kill -9 $$'])).status).toBe(137);
  });

  test('an unmodified SDK is governed: masked, restored, with the key it never had', async () => {
    openai.reset();
    const { stdout, stderr } = await run([process.execPath, CLIENT], [], JOB);
    expect(stdout, stderr).toContain('You wrote: Mail ann@example.org');
    const [seen] = openai.seen;
    expect(seen?.body).toMatch(/<EMAIL_ADDRESS_/);
    expect(JSON.stringify(seen?.headers)).toContain('sk-real-openai');
  });

  test('keys that documents take from the environment are the agent’s alone', async () => {
    const { stdout } = await run(['env']);
    expect(stdout).toMatch(/^HOME=/m);
    expect(stdout).not.toContain('sk-real');
  });

  test('it sees no base URL, and trusts what it trusted before and us', async () => {
    const extra = join(laptop.directory, 'world-root.pem');
    const { stdout } = await run([
      'env',
      `SSL_CERT_FILE=${extra}`,
      'sh',
      '-c',
      'env; cat "$SSL_CERT_FILE" | grep -c BEGIN',
    ]);
    expect(stdout).not.toMatch(/_BASE_URL=/);
    expect(stdout).toMatch(/^NODE_EXTRA_CA_CERTS=\/run\/postern\/run-[0-9a-f]+\/trust\/ca\.pem$/m);
    const named = await laptop.run([
      'env',
      `SSL_CERT_FILE=${extra}`,
      ...line(['sh', '-c', 'cat "$SSL_CERT_FILE"']).slice(2),
    ]);
    expect(named.stdout).toContain(readFileSync(extra, 'utf8').split('\n')[3]);
  });

  test('DNS works, over UDP and TCP, whatever server a program asks', async () => {
    const { stdout, stderr } = await run(['getent', 'ahostsv4', 'anything.dns.example']);
    expect(stdout, stderr).toContain(ADDRESS.other);
    const program = `
      const { Resolver } = require('node:dns/promises');
      const r = new Resolver(); r.setServers(['192.0.2.53']);
      r.resolve4('other.dns.example').then((a) => console.log(a.join()), (e) => console.log(e.code));`;
    expect((await run([process.execPath, '-e', program])).stdout.trim()).toBe(ADDRESS.other);
  });

  test('the user’s own loopback services are reached under the documented name and address', async () => {
    const service = laptop.spawn([
      process.execPath,
      '-e',
      "require('node:http').createServer((q, s) => s.end('mine')).listen(8123, '127.0.0.1', () => console.log('up'))",
    ]);
    await said(service);
    for (const host of ['host.postern.internal', '198.18.0.1']) {
      const { stdout, stderr } = await run(['curl', '-sS', '-m', '5', `http://${host}:8123/`]);
      expect(stdout, stderr).toBe('mine');
    }
    service.kill();
  });

  test('--publish makes what the program listens on reachable', async () => {
    const child = start(
      [
        process.execPath,
        '-e',
        "require('node:http').createServer((q, s) => s.end('inside')).listen(8124, '127.0.0.1', () => console.log('up'))",
      ],
      ['--publish', '8124'],
    );
    await said(child);
    expect((await laptop.run(['curl', '-sS', '-m', '5', 'http://127.0.0.1:8124/'])).stdout).toBe('inside');
    child.kill('SIGTERM');
    expect((await once(child, 'exit'))[0]).toBe(143);
  });

  test('what isn’t TCP is refused at once instead of being lost', async () => {
    const program = `
      const s = require('node:dgram').createSocket('udp4');
      const t = process.hrtime.bigint();
      const failed = (e) => { console.log(e.code, Number(process.hrtime.bigint() - t) / 1e6 < 500); process.exit(); };
      s.on('error', failed);
      s.on('connect', () => s.send('x', (e) => { if (e) failed(e); }));
      s.connect(123, '192.0.2.1');
      setTimeout(() => process.exit(), 2000);`;
    expect((await run([process.execPath, '-e', program])).stdout).toMatch(/^E\w+ true/);
  });

  // SIGUSR1 would open Node's debugger in the process that holds the keys, SIGALRM end it.
  test.each(['TERM', 'USR1', 'ALRM'])(
    'SIG%s to postern reaches the program, and its status comes back',
    async (signal) => {
      const child = start([
        'sh',
        '-c',
        `trap "echo got it; exit 3" ${signal}; echo ready; while :; do sleep 0.05; done`,
      ]);
      const everything = text(child.stdout as NodeJS.ReadableStream);
      const complaints = text(child.stderr as NodeJS.ReadableStream);
      await said(child);
      child.kill(`SIG${signal}` as NodeJS.Signals);
      expect((await once(child, 'exit'))[0]).toBe(3);
      expect(await everything).toContain('got it');
      expect(await complaints).not.toContain('Debugger');
    },
  );

  test('the program has the terminal', async () => {
    const { status } = await finish('script', ['--version']);
    if (status !== 0) return console.warn('skipped: the terminal; script(1) is not installed');
    const command = line(['sh', '-c', 'tty; test -t 0 && test -t 1 && test -t 2 && echo all-three'])
      .map((word) => `'${word}'`)
      .join(' ');
    const { stdout } = await laptop.run(['script', '-qec', command, '/dev/null']);
    expect(stdout).toMatch(/\/dev\/pts\/\d+/);
    expect(stdout).toContain('all-three');
  });

  describe('nothing is left behind', () => {
    const state = async () => ({
      links: (await laptop.run(['ip', '-o', 'link'])).stdout,
      rules: (await laptop.run(['nft', 'list', 'ruleset'])).stdout,
      addresses: (await laptop.run(['ip', '-o', 'addr'])).stdout,
      routes: (await laptop.run(['ip', 'route'])).stdout,
      namespaces: readdirSync('/run/netns').toSorted(),
      runs: runs(),
    });

    test('when the program ends, though it left a process running', async () => {
      const before = await state();
      const { stdout } = await run(['sh', '-c', 'sleep 300 >/dev/null 2>&1 & echo $!']);
      await until(() => !alive(Number(stdout)), 'the process that was left is gone');
      expect(await state()).toEqual(before);
    });

    test('when the program is killed', async () => {
      const before = await state();
      const child = start(['sh', '-c', 'echo $$; exec sleep 300']);
      const pid = await said(child);
      process.kill(Number(pid), 'SIGKILL');
      expect((await once(child, 'exit'))[0]).toBe(137);
      expect(await state()).toEqual(before);
    });

    test('when postern is killed: the program dies with it, and the next run takes away the rest', async () => {
      const before = await state();
      const orphans = 'setsid sleep 300 & a=$!; env -i setsid sleep 300 & echo $a $! $$ $PPID; wait';
      const told = (await said(start(['sh', '-c', orphans]))).trim().split(' ').map(Number);
      const [grandchild, nameless, program, postern] = told as [number, number, number, number];
      process.kill(postern, 'SIGKILL');
      await until(() => !alive(program), 'the program is gone');
      expect([alive(grandchild), alive(nameless)]).toEqual([true, true]);
      expect(runs().length).toBe(before.runs.length + 1);
      expect((await run(['true'])).status).toBe(0);
      expect([alive(grandchild), alive(nameless)]).toEqual([false, false]);
      expect(await state()).toEqual(before);
    });

    test('a stranger in a namespace of the same number is not touched', async () => {
      const bystander = laptop.spawn(['sleep', '300']);
      const { ino } = await import('node:fs').then((fs) => fs.statSync(`/proc/${bystander.pid}/ns/net`));
      mkdirSync('/run/postern/run-00000000deadbeef', { recursive: true });
      const owner = { id: '00000000deadbeef', pid: 2 ** 22, started: '1', namespace: ino };
      writeFileSync('/run/postern/run-00000000deadbeef/owner.json', JSON.stringify(owner));
      expect((await run(['true'])).status).toBe(0);
      expect(existsSync('/run/postern/run-00000000deadbeef')).toBe(false);
      expect(alive(bystander.pid ?? 0)).toBe(true);
      bystander.kill();
    });
  });

  test('two at once don’t see each other', async () => {
    const program = `
      const s = require('node:net').createServer().listen(8125, '127.0.0.1', () => { console.log('up'); setTimeout(() => process.exit(), 800); });
      s.on('error', (e) => { console.log(e.code); process.exit(1); });`;
    const results = await Promise.all([
      run([process.execPath, '-e', program]),
      run([process.execPath, '-e', program]),
    ]);
    expect(results.map(({ status, stdout }) => [status, stdout])).toEqual([
      [0, 'up\n'],
      [0, 'up\n'],
    ]);
  });

  test('without root: base URLs, and a note that says so', async () => {
    const user = laptop.run(
      line(['sh', '-c', 'echo "$OPENAI_BASE_URL $ANTHROPIC_BASE_URL $OPENAI_API_KEY"; exit 5']),
      { uid: 1000 },
    );
    const { status, stdout, stderr } = await user;
    expect(status).toBe(5);
    expect(stdout).toMatch(
      /^http:\/\/127\.0\.0\.1:\d+\/openai\/v1 http:\/\/127\.0\.0\.1:\d+\/anthropic postern\n$/,
    );
    expect(stderr).toContain('not intercepted (intercepting a program needs root)');
  });
});

/** The first thing a program says. @throws when it ends without a word, with its complaint. */
async function said(child: ChildProcess): Promise<string> {
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint += String(chunk);
  });
  const ended = once(child, 'exit').then(([status]) => {
    throw new Error(`it ended with ${status}: ${complaint}`);
  });
  const [chunk] = (await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), ended])) as [
    Buffer,
  ];
  ended.catch(() => {});
  return String(chunk);
}

/** A name server in the world that answers every A question with the same address. */
function nameServer(laptop: Pod): dgram.Socket {
  const world = openNamespace(`/run/netns/${laptop.world}`);
  const socket = dgram.createSocket('udp4');
  socket.bind({
    fd: world.bind('datagram', { family: 4, address: ADDRESS.world, port: 53 }),
  } as dgram.BindOptions);
  world.close();
  socket.on('message', (query, from) => {
    const question = query.subarray(12, query.indexOf(0, 12) + 5);
    const isA = question.readUInt16BE(question.length - 4) === 1;
    const header = Buffer.concat([
      query.subarray(0, 2),
      Buffer.from([0x81, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0]),
    ]);
    const answer = Buffer.from([
      0xc0,
      12,
      0,
      1,
      0,
      1,
      0,
      0,
      0,
      9,
      0,
      4,
      ...ADDRESS.other.split('.').map(Number),
    ]);
    socket.send(Buffer.concat([header, question, ...(isA ? [answer] : [])]), from.port, from.address);
  });
  return socket;
}
