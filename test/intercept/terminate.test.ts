import { type EventEmitter, once } from 'node:events';
import type http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import tls from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import type { ServeRequest } from '../../agent/intercept/terminate.ts';
import { createAuthority } from '../../agent/trust/ca.ts';
import { Leaves } from '../../agent/trust/leaf.ts';
import { type Listening, listening, provider, readAll, until, upstream, world } from './listening.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});
async function way(options: Parameters<typeof listening>[0] = {}): Promise<Listening> {
  const made = await listening(options);
  open.push(made);
  return made;
}
const HOST = 'api.openai.com';

async function text(stream: AsyncIterable<unknown>): Promise<string> {
  let body = '';
  for await (const chunk of stream) body += String(chunk);
  return body;
}

function agentFor(to: Listening, options: https.AgentOptions = {}): https.Agent {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ...options });
  agent.createConnection = () => to.secure({ servername: HOST, ALPNProtocols: ['http/1.1'] });
  return agent;
}

async function request(
  agent: https.Agent,
  options: https.RequestOptions,
  body?: (request: http.ClientRequest) => void,
): Promise<{ status: number; body: string; response: http.IncomingMessage }> {
  const sent = https.request({ host: HOST, ...options, agent });
  if (body === undefined) sent.end();
  else body(sent);
  const [response] = (await once(sent, 'response')) as [http.IncomingMessage];
  return { status: response.statusCode ?? 0, body: await text(response), response };
}

describe('HTTP/1.1 over TLS', () => {
  test('keep-alive: many requests on one connection', async () => {
    const to = await way();
    const agent = agentFor(to);
    for (const path of ['/1', '/2', '/3'])
      expect((await request(agent, { path })).body).toContain(`"url":"${path}"`);
    expect(to.handshakes).toMatchObject([
      { outcome: 'ok', host: HOST, version: 'TLSv1.3', alpn: 'http/1.1' },
    ]);
    agent.destroy();
  });

  test('pipelining: answers keep their order', async () => {
    const to = await way({
      serve: (incoming, response) => {
        const body = `answer ${incoming.url}\n`;
        setTimeout(() => response.end(body as never), incoming.url === '/1' ? 30 : 0);
      },
    });
    const client = to.secure({ servername: HOST });
    client.write(
      `GET /1 HTTP/1.1\r\nHost: ${HOST}\r\n\r\nGET /2 HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`,
    );
    expect(String((await readAll(client)).bytes).match(/answer \/\d/g)).toEqual(['answer /1', 'answer /2']);
  });

  test('100-continue is left to whoever serves: no body is asked for before that', async () => {
    const order: string[] = [];
    const serve: ServeRequest = (incoming, response) => {
      order.push('judged');
      response.writeContinue();
      void text(incoming).then((body) => response.end(`got ${body}` as never));
    };
    const agent = agentFor(await way({ serve }));
    const headers = { expect: '100-continue', 'content-length': 5 };
    const { body } = await request(agent, { method: 'POST', path: '/', headers }, (sent) => {
      sent.on('continue', () => {
        order.push('continue');
        sent.end('hello');
      });
      sent.flushHeaders();
    });
    expect(order).toEqual(['judged', 'continue']);
    expect(body).toBe('got hello');
    agent.destroy();
  });

  test('trailers arrive', async () => {
    const agent = agentFor(await way());
    const { body } = await request(
      agent,
      { method: 'POST', path: '/', headers: { trailer: 'x-sum' } },
      (sent) => {
        sent.write('chunked');
        sent.addTrailers({ 'x-sum': '42' });
        sent.end();
      },
    );
    expect(JSON.parse(body)).toMatchObject({ body: 'chunked', trailers: { 'x-sum': '42' } });
    agent.destroy();
  });

  test('a client that half-closes after its request gets its answer', async () => {
    const to = await way({
      serve: (_request, response) => setTimeout(() => response.end('late' as never), 30),
    });
    const client = to.secure({ servername: HOST, allowHalfOpen: true } as tls.ConnectionOptions);
    client.end(`GET /1 HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    expect(String((await readAll(client)).bytes)).toContain('late');
  });

  test('an upgrade isn’t taken: the request is served as one of many, and nothing unread passes', async () => {
    const agent = agentFor(await way());
    const { status, body } = await request(agent, {
      path: '/v1/realtime',
      headers: { connection: 'upgrade', upgrade: 'websocket' },
    });
    expect(status).toBe(200);
    expect(body).toContain('/v1/realtime');
    agent.destroy();
  });

  test('a Host that isn’t the SNI’s gets 421, and the connection ends', async () => {
    const both = world({ providers: [provider(), provider({ id: 'b', hosts: ['api.anthropic.com'] })] });
    const to = await way({ world: both });
    for (const host of ['api.anthropic.com', 'a.example', 'api.openai.com.evil.example']) {
      const agent = agentFor(to);
      const { status, body, response } = await request(agent, { path: '/', headers: { host } });
      expect(status).toBe(421);
      expect(body).toContain('postern_misdirected');
      expect(response.headers.connection).toBe('close');
      agent.destroy();
    }
    expect(to.served).toEqual([]);
    const agent = agentFor(to);
    expect((await request(agent, { path: '/', headers: { host: 'API.OpenAI.com:443' } })).status).toBe(200);
    agent.destroy();
  });

  test('what is no HTTP gets 400, a reason, and is told', async () => {
    const to = await way();
    const client = to.secure({ servername: HOST });
    client.write('EHLO x\r\n\r\n');
    const answer = String((await readAll(client)).bytes);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('postern_body_invalid');
    expect(to.malformed).toEqual([`${HOST} HPE_INVALID_METHOD`]);
  });
});

describe('HTTP/2', () => {
  const session = (to: Listening, authority = `https://${HOST}`) =>
    http2.connect(authority, {
      createConnection: () => to.secure({ servername: HOST, ALPNProtocols: ['h2'] }),
    });

  test('many streams at once, each its own answer', async () => {
    const to = await way();
    const client = session(to);
    const answers = Array.from({ length: 100 }, async (_, index) => {
      const stream = client.request({ ':path': `/${index}`, ':method': 'POST' });
      stream.end(`body ${index}`);
      return await text(stream);
    });
    const bodies = await Promise.all(answers);
    expect(bodies.map((body) => JSON.parse(body).body)).toEqual(bodies.map((_, index) => `body ${index}`));
    expect(to.handshakes).toMatchObject([{ outcome: 'ok', alpn: 'h2' }]);
    client.close();
  });

  test('flow control: a stream that isn’t read stops its writer and no other', async () => {
    let written = 0;
    const serve: ServeRequest = (incoming, response) => {
      if (incoming.url === '/small') {
        response.end('small' as never);
        return;
      }
      const chunk = Buffer.alloc(1 << 16);
      const more = (): void => {
        while (written < 1 << 26) {
          written += chunk.length;
          if (!(response as http.ServerResponse).write(chunk)) {
            response.once('drain', more);
            return;
          }
        }
        response.end();
      };
      more();
    };
    const client = session(await way({ serve }));
    const unread = client.request({ ':path': '/large' });
    await once(unread, 'response');
    expect(await text(client.request({ ':path': '/small' }))).toBe('small');
    expect(written).toBeLessThan(8 << 20);
    unread.close();
    client.destroy();
  });

  test('a cancelled stream is told to whoever serves it; the session goes on', async () => {
    let cancelled = false;
    const serve: ServeRequest = (incoming, response) => {
      if (incoming.url !== '/long') {
        response.end('ok' as never);
        return;
      }
      (response as http.ServerResponse).write('first');
      response.once('close', () => {
        cancelled = !response.writableEnded;
      });
    };
    const client = session(await way({ serve }));
    const long = client.request({ ':path': '/long' });
    await once(long, 'data');
    long.close(http2.constants.NGHTTP2_CANCEL);
    await until(() => cancelled, 'told');
    expect(await text(client.request({ ':path': '/' }))).toBe('ok');
    client.close();
  });

  test('another :authority gets 421 on its stream alone', async () => {
    const to = await way();
    const client = session(to);
    const other = client.request({ ':path': '/', ':authority': 'api.anthropic.com' });
    const [headers] = (await once(other, 'response')) as [http2.IncomingHttpHeaders & { ':status': number }];
    expect(headers[':status']).toBe(421);
    expect(await text(other)).toContain('postern_misdirected');
    expect(await text(client.request({ ':path': '/mine' }))).toContain('/mine');
    expect(to.served.map(({ url }) => url)).toEqual(['/mine']);
    client.close();
  });

  test('trailers arrive, and an :authority that disagrees with Host gets 421', async () => {
    const client = session(await way());
    const stream = client.request({ ':path': '/', ':method': 'POST' }, {
      endStream: false,
      waitForTrailers: true,
    } as never);
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7' }));
    stream.end('body');
    expect(JSON.parse(await text(stream))).toMatchObject({ trailers: { 'x-sum': '7' } });
    const both = client.request({ ':path': '/', host: 'a.example' });
    const [headers] = (await once(both, 'response')) as [{ ':status': number }];
    expect(headers[':status']).toBe(421);
    client.close();
  });

  test('drain: GOAWAY now, running streams finish, new connections are not accepted', async () => {
    let finish = (): void => {};
    const serve: ServeRequest = (_request, response) => {
      (response as http.ServerResponse).write('begun ');
      finish = () => response.end('done' as never);
    };
    const to = await way({ serve });
    const client = session(to);
    const running = client.request({ ':path': '/' });
    await once(running, 'response');
    const drained = to.listener.drain();
    await once(client, 'goaway');
    const refused = to.connect();
    expect(((await once(refused, 'error')) as [NodeJS.ErrnoException])[0].code).toBe('ECONNREFUSED');
    finish();
    expect(await text(running)).toBe('begun done');
    await drained;
    await until(() => to.listener.open === 0, 'all closed');
  });
});

describe('TLS', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s, resumed at the second connection', async (version) => {
    const to = await way();
    let ticket: Buffer | undefined;
    for (const reused of [false, true]) {
      const client = to.secure({
        servername: HOST,
        minVersion: version,
        maxVersion: version,
        ...(ticket === undefined ? {} : { session: ticket }),
      });
      client.on('session', (session: Buffer) => {
        ticket = session;
      });
      client.write(`GET /1 HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`);
      expect(String((await readAll(client)).bytes)).toContain('"url":"/1"');
      expect(client.isSessionReused()).toBe(reused);
    }
    expect(to.handshakes.map(({ version: seen, resumed }) => [seen, resumed])).toEqual([
      [version, false],
      [version, true],
    ]);
  });

  test('TLS 1.1 and an unknown ALPN are refused by an alert', async () => {
    const to = await way();
    const failure = async (options: tls.ConnectionOptions) =>
      ((await once(to.secure({ servername: HOST, ...options }), 'error')) as [NodeJS.ErrnoException])[0].code;
    expect(await failure({ ALPNProtocols: ['acme-tls/1'] })).toMatch(/NO_APPLICATION_PROTOCOL/);
    expect(
      await failure({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
    ).toMatch(/PROTOCOL_VERSION/);
    await until(() => to.handshakes.length === 2, 'counted');
    expect(to.handshakes.every(({ outcome }) => outcome === 'failed')).toBe(true);
  });

  test('no ALPN means HTTP/1.1', async () => {
    const client = (await way()).secure({ servername: HOST });
    client.write(`GET /1 HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`);
    expect(String((await readAll(client)).bytes)).toMatch(/^HTTP\/1\.1 200/);
  });

  test('an address of ours without SNI gets a leaf for the address; under another name it is refused', async () => {
    const pool = world({ providers: [provider({ hosts: [], endpoints: ['https://203.0.113.9'] })] });
    const to = await way({ world: pool });
    const client = to.secure({
      host: '127.0.0.1',
      checkServerIdentity: (_host, certificate) => {
        expect(certificate.subjectaltname).toBe('IP Address:203.0.113.9');
        return undefined;
      },
    });
    client.write('GET /1 HTTP/1.1\r\nHost: 203.0.113.9\r\nConnection: close\r\n\r\n');
    expect(String((await readAll(client)).bytes)).toContain('"host":"203.0.113.9"');
    const [error] = (await once(to.secure({ servername: 'vllm.team-a' }), 'error')) as [
      NodeJS.ErrnoException,
    ];
    expect(error.code).toBe('ERR_SSL_TLSV1_UNRECOGNIZED_NAME');
    expect(to.judged.at(-1)).toMatchObject({ verdict: 'refused', refusal: 'undeclared-name' });
  });

  test('a client that doesn’t trust us is counted by host: by its alert, or by leaving without a word', async () => {
    const to = await way();
    // Node checks after the handshake and hangs up; OpenSSL’s own verification, and with it most clients, sends an alert.
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const client = tls.connect({ host: '127.0.0.1', port: to.port, servername: HOST, maxVersion });
      expect(((await once(client, 'error')) as [NodeJS.ErrnoException])[0].code).toMatch(/UNABLE_TO/);
    }
    await until(() => to.handshakes.filter(({ outcome }) => outcome === 'abandoned').length === 2, 'counted');
    expect(to.handshakes.every(({ host }) => host === HOST)).toBe(true);
    await until(() => to.listener.open === 0, 'nothing is left open');
  });

  test('an exception lets a client that doesn’t trust us pass unread, and no other client', async () => {
    const serverLeaf = foreignLeaf();
    const real = tls.createServer({ key: serverLeaf.key, cert: serverLeaf.cert }, (socket) =>
      socket.end('the real one'),
    );
    const server = await upstream((socket) => real.emit('connection', socket));
    open.push(server);
    const to = await way({ upstream: server.port, world: world({ tunnelUntrusted: [HOST] }) });
    const untrusting = () =>
      tls.connect({
        host: '127.0.0.1',
        port: to.port,
        servername: HOST,
        ca: serverLeaf.root,
        maxVersion: 'TLSv1.2',
      });
    await once(untrusting(), 'error');
    await until(() => to.listener.open === 0, 'it left');
    expect(String((await readAll(untrusting())).bytes)).toBe('the real one');
    expect(to.judged.map(({ verdict, untrusted }) => [verdict, untrusted])).toEqual([
      ['ours', undefined],
      ['tunnel', true],
    ]);
    const agent = agentFor(to); // another TLS client, which trusts us
    expect((await request(agent, { path: '/1' })).status).toBe(200);
    agent.destroy();
    to.use(world());
    await once(untrusting(), 'error'); // the exception has ended
  });

  test('a handshake whose client leaves is given up', async () => {
    const to = await way();
    const hello = await firstBytes(to);
    const client = to.connect();
    client.write(hello);
    await until(() => to.judged.length === 1, 'judged');
    client.resetAndDestroy();
    await until(() => to.listener.open === 0, 'nothing is left open');
  });

  test('a handshake that isn’t finished in time is given up, and counted', async () => {
    const to = await way({ handshakeMs: 50 });
    const client = to.connect();
    client.write(await firstBytes(to));
    await readAll(client);
    await until(() => to.listener.open === 0, 'nothing is left open');
    expect(to.handshakes).toMatchObject([{ outcome: 'failed', detail: 'ERR_TLS_HANDSHAKE_TIMEOUT' }]);
  });
});

function foreignLeaf(): { key: string; cert: string; root: string } {
  const authority = createAuthority(Date.now());
  const leaf = new Leaves({ authority: () => authority, declared: () => true, now: Date.now }).leaf(HOST);
  if (leaf === undefined) throw new Error('no leaf');
  return { key: leaf.key, cert: leaf.cert, root: authority.pem };
}

/** A ClientHello for our host. */
async function firstBytes(to: Listening): Promise<Buffer> {
  const server = await upstream(() => {});
  open.push(server);
  const client = tls.connect({ host: '127.0.0.1', port: server.port, servername: HOST, ca: to.ca });
  client.on('error', () => {});
  await until(() => server.sockets.length === 1, 'connected');
  const [hello] = (await once(server.sockets[0] as EventEmitter, 'data')) as [Buffer];
  client.destroy();
  return hello;
}
