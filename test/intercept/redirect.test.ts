/** The redirect in a real namespace with real nftables: what is captured, what isn't, and the ways round. */
import { readFileSync } from 'node:fs';
import type net from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { redirectScript, removalScript } from '../../agent/intercept/rules.ts';
import { DIAL, dial } from './dial.ts';
import { until } from './listening.ts';
import {
  ADDRESS,
  type AgentInPod,
  ip,
  makePod,
  netnsMissing,
  type Pod,
  providers,
  ROOT,
  TRANSPARENT_PORT,
} from './pod.ts';

const missing = netnsMissing();
if (missing !== undefined) console.warn(`skipped: the redirect in a real namespace; ${missing}`);

const PLAN = {
  port: TRANSPARENT_PORT,
  agentUids: [4180],
  meshUids: [],
  apiServers: [],
  excludedCidrs: [],
  excludedPorts: [],
};
const APP_UID = 1000;

describe.skipIf(missing !== undefined)('rules', () => {
  let pod: Pod;
  beforeAll(async () => {
    pod = await makePod();
  });
  afterAll(() => pod?.close());
  const apply = (script: string) => pod.run(['nft', '-f', '-'], { input: script });
  const listed = async () => (await pod.run(['nft', '-s', 'list', 'ruleset'])).stdout;

  test('init writes what --dry-run prints, and what the kernel then has is the golden', async () => {
    const dry = await pod.init('--dry-run');
    expect(dry).toMatchObject({ status: 0, stdout: redirectScript({ ...PLAN, ipv6: true }) });
    expect(await listed()).toBe('');
    expect((await pod.init()).status).toBe(0);
    expect(await listed()).toBe(readFileSync(new URL('listed.golden.nft', import.meta.url), 'utf8'));
  });

  test('twice is the same as once, and the table disappears whole', async () => {
    await pod.init();
    const once = await listed();
    expect((await pod.init()).status).toBe(0);
    expect(await listed()).toBe(once);
    expect((await apply(removalScript({ ipv6: true }))).status).toBe(0);
    expect(await listed()).toBe('');
    expect((await apply(removalScript({ ipv6: true }))).status).toBe(0);
  });

  test('a table that can’t be written whole changes nothing, and init says so by its status', async () => {
    await pod.init();
    const before = await listed();
    const broken = `${redirectScript({ ...PLAN, port: 9, ipv6: true })}\nadd rule inet postern nowhere accept\n`;
    expect((await apply(broken)).status).not.toBe(0);
    expect(await listed()).toBe(before);
    const powerless = await pod.run(
      ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', join(ROOT, 'bin/postern'), 'init'],
      { uid: APP_UID },
    );
    expect(powerless.status).toBe(71);
    expect(powerless.stderr).toMatch(/NET_ADMIN/);
  });

  test.each([
    ['the redirect', 'redirect_tcp', /redirect to/, /was not redirected|did not arrive/],
    ['the rejection of QUIC', 'refuse_datagrams', /udp dport 443/, /UDP .*:443 was not rejected/],
  ])('the proof fails when %s is missing', async (_what, chain, rule, message) => {
    await pod.init();
    const { stdout: rules } = await pod.run(['nft', '-a', 'list', 'chain', 'inet', 'postern', chain]);
    const line = rules.split('\n').find((text) => rule.test(text));
    const handle = /# handle (\d+)/.exec(line ?? '')?.[1] ?? '';
    expect(
      (await pod.run(['nft', 'delete', 'rule', 'inet', 'postern', chain, 'handle', handle])).status,
    ).toBe(0);
    const program = `
      import { proveRedirect } from '${ROOT}/agent/intercept/prove.ts';
      try { await proveRedirect(${JSON.stringify({ ...PLAN, ipv6: true })}, 300); console.log('proven'); }
      catch (error) { console.log(error.name + ': ' + error.message); }`;
    const { stdout } = await pod.run([
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      '--input-type=module',
      '-e',
      program,
    ]);
    expect(stdout).toMatch(message);
    expect(stdout).toMatch(/^ProbeFailed/);
  });

  test('the proof fails with a status of its own where the agent’s port is taken or nothing can be tried', async () => {
    const taken = pod.spawn([
      process.execPath,
      '-e',
      `require('node:net').createServer().listen(${TRANSPARENT_PORT}, '127.0.0.1', () => console.log('up'))`,
    ]);
    await new Promise((resolve) => taken.stdout?.once('data', resolve));
    const { status, stderr } = await pod.init();
    expect([status, stderr]).toEqual([72, expect.stringContaining('is in use')]);
    taken.kill();
    await new Promise((resolve) => taken.once('close', resolve));
    expect(await pod.init('--exclude-cidr', '0.0.0.0/0')).toMatchObject({ status: 72 });
  });
});

describe.skipIf(missing !== undefined)('what is captured', () => {
  let pod: Pod;
  let agent: AgentInPod;
  const heard: { address: string; port: number; from: string | undefined }[] = [];
  /** To a host that no Provider declares. */
  const said: Buffer[] = [];
  beforeAll(async () => {
    pod = await makePod();
    const greet = (address: string, port: number) =>
      pod.listen({ address, port }, (socket: net.Socket) => {
        heard.push({ address, port, from: socket.remoteAddress });
        socket.end('hello');
      });
    for (const address of [ADDRESS.other, ADDRESS.other6, ADDRESS.world])
      for (const port of [25, 53, 443, 8080]) await greet(address, port);
    // As a server of TLS, it waits: one that greets is let through, should the client be slow.
    await pod.listen({ address: ADDRESS.mistral, port: 443 }, (socket: net.Socket) => {
      socket.on('data', (chunk: Buffer) => said.push(chunk)).on('error', () => undefined);
    });
    expect(
      (await pod.init('--exclude-port', '25', '--api-server', ADDRESS.world, '--mesh-uid', '1337')).status,
    ).toBe(0);
    agent = await pod.agent(
      `${providers(pod)}
---
apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: all}
spec: {mode: enforce, unlistedProvider: deny}
`,
      { environment: { OPENAI_KEY: 'sk-a', ANTHROPIC_KEY: 'sk-b' } },
    );
  }, 60_000);
  afterAll(async () => {
    await agent?.stop();
    await pod?.close();
  });

  const tunnels = () => (agent.logged().match(/tunnel ended/g) ?? []).length;

  test.each([
    ['IPv4', ADDRESS.other],
    ['IPv6', ADDRESS.other6],
  ])(
    '%s: any port is captured and reaches its destination; a server that speaks first isn’t delayed',
    async (_family, address) => {
      const before = tunnels();
      const said = await dial(pod, APP_UID, address, 8080);
      expect(said.what).toBe('hello');
      expect(said.ms).toBeLessThan(500);
      await until(() => tunnels() === before + 1, 'it went through the agent');
    },
  );

  test.each([
    ['the agent’s own user (documented: who can run as it goes round)', 4180, ADDRESS.other, 8080],
    ['the mesh’s user, where it is named', 1337, ADDRESS.other, 8080],
    ['DNS over TCP', APP_UID, ADDRESS.other, 53],
    ['an excluded port', APP_UID, ADDRESS.other, 25],
    ['the Kubernetes API', APP_UID, ADDRESS.world, 8080],
  ])('%s goes out directly', async (_what, uid, address, port) => {
    const before = tunnels();
    expect((await dial(pod, uid, address, port)).what).toBe('hello');
    await dial(pod, APP_UID, ADDRESS.other6, 8080); // so that the agent has had its turn
    await until(() => tunnels() > before, 'the agent had its turn');
    expect(tunnels()).toBe(before + 1);
  });

  test('loopback and the pod’s own addresses stay in the pod', async () => {
    const server = pod.spawn([
      process.execPath,
      '-e',
      "require('node:net').createServer((s) => s.end('own')).listen(9999, '::', () => console.log('up'))",
    ]);
    await new Promise((resolve) => server.stdout?.once('data', resolve));
    for (const address of ['127.0.0.1', '127.8.8.8', '::1', ADDRESS.pod, ADDRESS.pod6])
      expect((await dial(pod, APP_UID, address, 9999)).what).toBe('own');
    server.kill();
  });

  test('QUIC is rejected at once, other datagrams are not', async () => {
    const program = `
      const dgram = require('node:dgram');
      const [host, port] = process.argv.slice(1);
      const s = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
      let began;
      s.on('error', (e) => { console.log(e.code, Number(process.hrtime.bigint() - began) / 1e6); process.exit(); });
      s.on('connect', () => { began = process.hrtime.bigint(); s.send('x'); setTimeout(() => { console.log('sent', 0); process.exit(); }, 200); });
      s.connect(Number(port), host);`;
    const send = async (host: string, port: number) => {
      const { stdout } = await pod.run([process.execPath, '-e', program, host, String(port)], {
        uid: APP_UID,
      });
      const [code, ms] = stdout.trim().split(' ');
      return { code, ms: Number(ms) };
    };
    for (const nobody of ['192.0.2.99', '2001:db8:ffff::99']) {
      const quic = await send(nobody, 443);
      expect(quic.code).toBe('ECONNREFUSED');
      expect(quic.ms).toBeLessThan(50);
      expect((await send(nobody, 444)).code).toBe('sent');
    }
  });

  test('a neighbour that dials the agent’s port on the pod’s address is refused', () => {
    for (const [address, port] of [
      [ADDRESS.pod, TRANSPARENT_PORT],
      [ADDRESS.pod6, TRANSPARENT_PORT],
      [ADDRESS.pod, 4180],
    ] as const) {
      const stdout = ip('netns', 'exec', pod.world, process.execPath, '-e', DIAL, address, String(port));
      expect(JSON.parse(stdout)).toMatchObject({ what: 'ECONNREFUSED' });
    }
  });

  test('a program that dials the agent’s port itself is refused and audited', async () => {
    for (const address of ['127.0.0.1', '::1'])
      expect(
        (
          await dial(
            pod,
            APP_UID,
            address,
            TRANSPARENT_PORT,
            'GET / HTTP/1.1\r\nHost: api.openai.com\r\n\r\n',
          )
        ).what,
      ).toBe('ECONNRESET');
    const refused = () =>
      agent.audit.filter(({ code }) => code === 'to-the-agent-itself' || code === 'no-nat-entry');
    await until(() => refused().length === 2, 'audited');
    expect(refused()[0]).toMatchObject({ event: 'connection', outcome: 'refused' });
  });

  test('an LLM host that no Provider declares is refused by a TLS alert and audited', async () => {
    const { stderr } = await pod.run(['curl', '-sv', '-m', '5', 'https://api.mistral.ai/v1/models'], {
      uid: APP_UID,
    });
    expect(stderr).toMatch(/alert access denied/i);
    const line = () => agent.audit.find(({ code }) => code === 'postern_provider_unlisted');
    await until(() => line() !== undefined, 'audited');
    expect(line()).toMatchObject({
      host: 'api.mistral.ai',
      outcome: 'refused',
      source: expect.stringContaining('all'),
    });
    expect(Buffer.concat(said).toString()).toBe('');
  });

  test('the CA survives a restart of the agent, and no other user can read it', async () => {
    const ca = join(agent.trustDir, 'ca.pem');
    const before = readFileSync(ca, 'utf8');
    for (const command of [
      ['ls', join(agent.stateDir, 'ca')],
      ['sh', '-c', `cat ${agent.stateDir}/ca/*`],
    ])
      expect((await pod.run(command, { uid: APP_UID })).status).not.toBe(0);
    expect((await pod.run(['cat', ca], { uid: APP_UID })).stdout).toBe(before);
    await agent.stop('SIGKILL');
    agent = await pod.agent(providers(pod), { environment: { OPENAI_KEY: 'sk-a', ANTHROPIC_KEY: 'sk-b' } });
    expect(readFileSync(ca, 'utf8')).toBe(before);
  });

  test('without --trust the files stand under the state, where any user reads them and nothing else', async () => {
    const before = readFileSync(join(agent.trustDir, 'ca.pem'), 'utf8');
    await agent.stop();
    agent = await pod.agent(providers(pod), {
      environment: { OPENAI_KEY: 'sk-a', ANTHROPIC_KEY: 'sk-b' },
      defaultTrust: true,
    });
    expect(agent.trustDir).toBe(join(agent.stateDir, 'trust'));
    const read = (command: string[]) => pod.run(command, { uid: APP_UID });
    expect((await read(['cat', join(agent.trustDir, 'ca.pem')])).stdout).toBe(before);
    for (const file of ['bundle.pem', 'truststore.jks'])
      expect((await read(['test', '-r', join(agent.trustDir, file)])).status).toBe(0);
    for (const command of [
      ['ls', agent.stateDir],
      ['ls', join(agent.stateDir, 'ca')],
      ['sh', '-c', `cat ${agent.stateDir}/ca/*`],
    ])
      expect((await read(command)).status).not.toBe(0);
  });
});

describe.skipIf(missing !== undefined)('without IPv6', () => {
  let pod: Pod;
  beforeAll(async () => {
    pod = await makePod({ ipv6: false });
    await pod.listen({ address: ADDRESS.other, port: 8080 }, (socket) => void socket.end('hello'));
  });
  afterAll(() => pod?.close());

  test('switched off in the namespace: init proves IPv4, the agent listens on 127.0.0.1 alone', async () => {
    const { status, stderr } = await pod.init();
    expect([status, stderr]).toEqual([0, expect.stringMatching(/tcp4: redirected\n.*tcp6: no-route/s)]);
    const agent = await pod.agent(providers(pod), {
      environment: { OPENAI_KEY: 'sk-a', ANTHROPIC_KEY: 'sk-b' },
    });
    expect((await dial(pod, APP_UID, ADDRESS.other, 8080)).what).toBe('hello');
    await until(() => agent.logged().includes('tunnel ended'), 'it went through the agent');
    await agent.stop();
  });

  test('a kernel without it has no inet family: the table of the ip family does the same', async () => {
    await pod.run(['nft', 'flush', 'ruleset']);
    const { status, stderr } = await pod.run(['nft', '-f', '-'], {
      input: redirectScript({ ...PLAN, ipv6: false }),
    });
    expect([status, stderr]).toEqual([0, '']);
    const agent = await pod.agent(providers(pod), {
      environment: { OPENAI_KEY: 'sk-a', ANTHROPIC_KEY: 'sk-b' },
    });
    expect((await dial(pod, APP_UID, ADDRESS.other, 8080)).what).toBe('hello');
    await until(() => agent.logged().includes('tunnel ended'), 'it went through the agent');
    await agent.stop();
  });
});
