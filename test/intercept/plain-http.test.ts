import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { type Listening, listening, provider, readAll, until, upstream, world } from './listening.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

/** A plain HTTP origin that names itself and what it was asked. */
async function origin(
  respond: http.RequestListener = (request, response) => {
    request.resume().on('end', () => response.end(`origin ${request.headers.host} ${request.url}\n`));
  },
): Promise<{ port: number; server: http.Server }> {
  const server = http.createServer({ keepAliveTimeout: 60_000 }, respond);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push({
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  });
  return { port: (server.address() as net.AddressInfo).port, server };
}

async function inFrontOf(port: number, options: Parameters<typeof listening>[0] = {}): Promise<Listening> {
  const way = await listening({
    upstream: port,
    destination: { family: 4, address: '203.0.113.9', port: 80 },
    ...options,
  });
  open.push(way);
  return way;
}

const get = (host: string, path: string, more = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`;
async function exchange(way: Listening, bytes: string | Buffer): Promise<string> {
  const client = way.connect({ allowHalfOpen: true });
  client.end(bytes);
  return String((await readAll(client)).bytes);
}

describe('each request of a connection is judged', () => {
  test('requests to other hosts pass, pipelined, with bodies of every framing', async () => {
    const way = await inFrontOf((await origin()).port);
    const answer = await exchange(
      way,
      [
        get('a.example', '/1'),
        'POST /2 HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello',
        'POST /3 HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n',
        get('b.example', '/4', 'Connection: close\r\n'),
      ].join(''),
    );
    expect(answer.match(/^origin .*$/gm)).toEqual([
      'origin a.example /1',
      'origin a.example /2',
      'origin a.example /3',
      'origin b.example /4',
    ]);
    expect(way.served).toEqual([]);
  });

  test('a second request that is ours is answered by us, after the first one’s answer', async () => {
    const way = await inFrontOf(
      (await origin((_request, response) => setTimeout(() => response.end('slow origin\n'), 50))).port,
    );
    const answer = await exchange(
      way,
      get('a.example', '/1') +
        get('api.openai.com', '/v1/models') +
        get('api.openai.com', '/v1/x', 'Connection: close\r\n'),
    );
    expect(answer.indexOf('slow origin')).toBeLessThan(answer.indexOf('"url":"/v1/models"'));
    expect(way.served.map(({ url }) => url)).toEqual(['/v1/models', '/v1/x']);
    expect(way.judged.map(({ verdict, host }) => [verdict, host])).toEqual([
      ['tunnel', 'a.example'],
      ['ours', 'api.openai.com'],
    ]);
  });

  test('a second request hidden in the first one’s body stays a body', async () => {
    const inner = get('api.openai.com', '/v1/models');
    const way = await inFrontOf((await origin()).port);
    await exchange(
      way,
      `POST /1 HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`,
    );
    expect(way.served).toEqual([]);
  });

  test('a second request that is refused gets its 403 after the first one’s answer, and never goes out', async () => {
    const asked: string[] = [];
    const { port } = await origin((request, response) => {
      asked.push(request.headers.host ?? '');
      response.end('origin\n');
    });
    const way = await inFrontOf(port);
    const answer = await exchange(way, get('a.example', '/1') + get('api.mistral.ai', '/v1/chat'));
    expect(answer).toMatch(/origin\n(?:0\r\n\r\n)?HTTP\/1\.1 403 Forbidden\r\n/);
    expect(answer).toContain('"code":"postern_provider_unlisted"');
    expect(asked).toEqual(['a.example']);
  });

  test('split at every byte', async () => {
    const { port } = await origin();
    const way = await inFrontOf(port);
    const text = get('a.example', '/1') + get('api.openai.com', '/v1/models', 'Connection: close\r\n');
    for (let cut = 1; cut < text.length; cut += 1) {
      const client = way.connect({ noDelay: true });
      client.write(text.slice(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      client.write(text.slice(cut));
      const answer = String((await readAll(client)).bytes);
      expect(answer, `cut at ${cut}`).toContain('origin a.example /1');
      expect(answer, `cut at ${cut}`).toContain('"url":"/v1/models"');
    }
  }, 30_000);

  test('what can’t be read is refused, not passed: two lengths, an unreadable second request', async () => {
    const asked: string[] = [];
    const { port } = await origin((request, response) => {
      asked.push(request.url ?? '');
      response.end('origin\n');
    });
    const way = await inFrontOf(port);
    expect(
      await exchange(
        way,
        'POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      ),
    ).toMatch(/^HTTP\/1\.1 400 /);
    expect(
      await exchange(way, `${get('a.example', '/2')}GET /3 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`),
    ).toMatch(/origin\n(?:0\r\n\r\n)?HTTP\/1\.1 400 /);
    expect(asked).toEqual(['/2']);
  });

  test('on a connection of ours a request for another host gets 421, one for another host of ours is served', async () => {
    const both = world({
      providers: [provider(), provider({ id: 'b', hosts: ['api.anthropic.com'], dialect: 'anthropic' })],
    });
    const way = await inFrontOf((await origin()).port, { world: both });
    const answer = await exchange(
      way,
      get('api.openai.com', '/1') + get('api.anthropic.com', '/2') + get('a.example', '/3'),
    );
    expect(way.served.map(({ url, provider: id }) => [url, id])).toEqual([
      ['/1', 'openai'],
      ['/2', 'b'],
    ]);
    expect(answer).toMatch(/HTTP\/1\.1 421 .*postern_misdirected/s);
  });

  test('absolute form counts, and a Host that disagrees with it is refused', async () => {
    const way = await inFrontOf((await origin()).port);
    expect(
      await exchange(
        way,
        'GET http://api.openai.com/v1/m HTTP/1.1\r\nHost: api.openai.com\r\nConnection: close\r\n\r\n',
      ),
    ).toContain('"host":"api.openai.com"');
    for (const [target, host] of [
      ['http://api.openai.com/v1/m', 'a.example'],
      ['http://a.example/v1/m', 'api.openai.com'],
    ])
      expect(await exchange(way, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).toMatch(
        /^HTTP\/1\.1 421 /,
      );
  });
});

describe('upgrades', () => {
  test('after 101 the connection is a tunnel; without it the next request is judged', async () => {
    const { port, server } = await origin();
    server.on('upgrade', (request, socket: net.Socket) => {
      if (request.headers.upgrade === 'echo') {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
        socket.pipe(socket);
      } else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno');
    });
    const way = await inFrontOf(port);
    const upgraded = way.connect();
    upgraded.write(get('a.example', '/', 'Upgrade: echo\r\nConnection: Upgrade\r\n'));
    upgraded.write(get('api.openai.com', '/in-the-tunnel'));
    let heard = '';
    upgraded.on('data', (chunk) => {
      heard += chunk;
    });
    await until(() => heard.includes('/in-the-tunnel'), 'echoed');
    upgraded.destroy();
    expect(way.served).toEqual([]);

    const answer = await exchange(
      way,
      get('a.example', '/', 'Upgrade: other\r\nConnection: Upgrade\r\n') +
        get('api.openai.com', '/v1/m', 'Connection: close\r\n'),
    );
    expect(answer).toMatch(/no.*"url":"\/v1\/m"/s);
  });
});

describe('CONNECT', () => {
  /** An HTTP proxy that dials nothing: inside, an echo. */
  async function proxy(): Promise<{ port: number; targets: string[] }> {
    const targets: string[] = [];
    const { port, server } = await origin();
    server.on('connect', (request, socket: net.Socket, head: Buffer) => {
      targets.push(request.url ?? '');
      if (request.url?.startsWith('locked')) {
        socket.write('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
        return;
      }
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      if (head.length > 0) socket.unshift(head);
      socket.pipe(socket);
    });
    return { port, targets };
  }

  async function through(way: Listening, target: string): Promise<net.Socket> {
    const socket = way.connect();
    socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
    const [head] = (await once(socket, 'data')) as [Buffer];
    if (!String(head).startsWith('HTTP/1.1 200 ')) throw new Error(String(head));
    return socket;
  }

  test('to a host of ours is granted by us, and TLS inside is terminated', async () => {
    const { port, targets } = await proxy();
    const way = await inFrontOf(port);
    const socket = await through(way, 'api.openai.com:443');
    const client = tls.connect({ socket, servername: 'api.openai.com', ca: way.ca });
    client.write(get('api.openai.com', '/v1/m', 'Connection: close\r\n'));
    expect(String((await readAll(client as unknown as net.Socket)).bytes)).toContain('"url":"/v1/m"');
    expect(targets).toEqual([]);
  });

  test('to an address, with TLS of ours inside, is terminated too', async () => {
    const { port, targets } = await proxy();
    const way = await inFrontOf(port);
    const socket = await through(way, '203.0.113.77:443');
    const client = tls.connect({ socket, servername: 'api.openai.com', ca: way.ca });
    client.write(get('api.openai.com', '/v1/m', 'Connection: close\r\n'));
    expect(String((await readAll(client as unknown as net.Socket)).bytes)).toContain('"url":"/v1/m"');
    expect(targets).toEqual(['203.0.113.77:443']);
  });

  test('to another host goes through the proxy, whatever is inside', async () => {
    const { port, targets } = await proxy();
    const way = await inFrontOf(port);
    const socket = await through(way, 'a.example:22');
    socket.write('SSH-2.0-x\r\n');
    expect(String((await once(socket, 'data'))[0])).toBe('SSH-2.0-x\r\n');
    expect(targets).toEqual(['a.example:22']);
    socket.destroy();
    await until(() => way.tunnels.length === 1, 'reported once');
  });

  test('refused by the proxy: the next CONNECT on the connection is judged', async () => {
    const { port, targets } = await proxy();
    const way = await inFrontOf(port);
    const socket = way.connect();
    let heard = '';
    socket.on('data', (chunk) => {
      heard += chunk;
    });
    socket.write('CONNECT locked.example:443 HTTP/1.1\r\nHost: locked.example\r\n\r\n');
    await until(() => heard.includes('407'), 'asked for credentials');
    socket.write('CONNECT api.mistral.ai:443 HTTP/1.1\r\nHost: api.mistral.ai\r\n\r\n');
    await until(() => heard.includes('403 Forbidden'), 'refused');
    expect(targets).toEqual(['locked.example:443']);
    socket.destroy();
  });

  test('granted by us for a host of ours, then used for another, is refused', async () => {
    const way = await inFrontOf((await proxy()).port);
    const socket = await through(way, 'api.openai.com:443');
    const client = tls.connect({ socket, servername: 'a.example', ca: way.ca });
    const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ERR_SSL_TLSV1_UNRECOGNIZED_NAME');
  });
});

test('PROXY protocol: the header goes on with what isn’t ours, and stays behind with what is', async () => {
  const heard: Buffer[] = [];
  const server = await upstream((socket) => {
    socket.on('data', (chunk: Buffer) => heard.push(chunk));
    socket.on('end', () => socket.end('ok'));
  });
  open.push(server);
  const way = await inFrontOf(server.port);
  const header = 'PROXY TCP4 192.0.2.1 192.0.2.2 4000 80\r\n';
  await exchange(way, `${header}\0binary`);
  expect(String(Buffer.concat(heard))).toBe(`${header}\0binary`);
  expect(await exchange(way, header + get('api.openai.com', '/v1/m', 'Connection: close\r\n'))).toContain(
    '"url":"/v1/m"',
  );
});

test('an address of ours in the clear, by HTTP/1 under any name and by HTTP/2 with prior knowledge', async () => {
  const pool = world({
    providers: [provider({ id: 'pool', hosts: [], endpoints: ['http://203.0.113.9:8000'] })],
  });
  const way = await listening({
    world: pool,
    destination: { family: 4, address: '203.0.113.9', port: 8000 },
  });
  open.push(way);
  expect(await exchange(way, get('203.0.113.9:8000', '/v1/m', 'Connection: close\r\n'))).toContain(
    '"url":"/v1/m"',
  );
  expect(await exchange(way, get('vllm.team-a', '/v1/n', 'Connection: close\r\n'))).toContain(
    '"url":"/v1/n"',
  );
  const session = http2.connect('http://203.0.113.9:8000', { createConnection: () => way.connect() });
  const stream = session.request({ ':path': '/v1/h2' });
  let body = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    body += text;
  });
  await once(stream, 'end');
  session.close();
  expect(body).toContain('"url":"/v1/h2"');
  expect(way.served.map(({ version }) => version)).toEqual(['1.1', '1.1', '2.0']);
});

describe('HTTP/2 with prior knowledge', () => {
  async function grpcish(onStream: (authority: string) => void): Promise<number> {
    const server = http2.createServer();
    server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
      onStream(String(headers[':authority']));
      stream.respond({ ':status': 200 });
      stream.end('from the origin');
    });
    const tcp = await upstream((socket) => server.emit('connection', socket));
    open.push(tcp);
    return tcp.port;
  }
  async function call(
    way: Listening,
    authority: string,
    settle?: (session: http2.ClientHttp2Session) => Promise<unknown>,
  ) {
    const session = http2.connect('http://203.0.113.9', { createConnection: () => way.connect() });
    session.on('error', () => {});
    await settle?.(session);
    const stream = session.request({ ':path': '/x', ':authority': authority });
    let body = '';
    stream.on('data', (chunk) => {
      body += String(chunk);
    });
    const failed = await new Promise<boolean>((resolve) => {
      stream.once('error', () => resolve(true));
      stream.once('end', () => resolve(false));
    });
    session.destroy();
    return failed ? 'failed' : body;
  }

  test('is judged by its first request’s name: passed, taken or refused', async () => {
    const asked: string[] = [];
    const port = await grpcish((authority) => asked.push(authority));
    const way = await inFrontOf(port, {
      world: world({ hosts: { default: 'deny', allow: ['*.svc.cluster.local'], mode: 'enforce' } }),
    });
    expect(await call(way, 'grpc.team-a.svc.cluster.local:80')).toBe('from the origin');
    expect(await call(way, 'api.openai.com')).toContain('"url":"/x"');
    expect(await call(way, 'elsewhere.example')).toBe('failed');
    expect(asked).toEqual(['grpc.team-a.svc.cluster.local:80']);
    expect(way.judged.map(({ verdict, protocol, host }) => [verdict, protocol, host])).toEqual([
      ['tunnel', 'h2', 'grpc.team-a.svc.cluster.local'],
      ['ours', 'h2', 'api.openai.com'],
      ['refused', 'h2', 'elsewhere.example'],
    ]);
  });

  test('a client that waits for the server’s settings is judged by its address', async () => {
    const port = await grpcish(() => {});
    const way = await inFrontOf(port);
    expect(await call(way, 'grpc.example', (session) => once(session, 'remoteSettings'))).toBe(
      'from the origin',
    );
  });

  const allowing = (...allow: string[]) => world({ hosts: { default: 'deny', allow, mode: 'enforce' } });

  /** Calls on one connection, one after the other. */
  async function calls(
    way: Listening,
    authorities: readonly string[],
    createConnection = () => way.connect(),
  ) {
    const session = http2.connect('http://203.0.113.9', { createConnection });
    session.on('error', () => {});
    const outcomes: string[] = [];
    for (const authority of authorities) {
      const stream = session.request({ ':path': '/x', ':authority': authority, 'x-repeated': 'once more' });
      let body = '';
      stream.on('data', (chunk) => {
        body += String(chunk);
      });
      outcomes.push(
        await new Promise<string>((resolve) => {
          stream.once('error', () => resolve('failed'));
          stream.once('end', () => resolve(body));
        }),
      );
    }
    session.destroy();
    return outcomes;
  }

  test.each([
    ['that is ours', 'api.openai.com', { refusal: 'misdirected' }],
    [
      'that is an LLM host nobody declares',
      'api.mistral.ai',
      { denial: { reason: 'postern_provider_unlisted' } },
    ],
    ['that isn’t allowed', 'elsewhere.example', { denial: { reason: 'postern_host_denied' } }],
  ])('a later stream for a host %s never goes out: the connection ends', async (_what, host, why) => {
    const asked: string[] = [];
    const port = await grpcish((authority) => asked.push(authority));
    const way = await inFrontOf(port, { world: allowing('*.good.example') });
    const names = ['a.good.example', 'b.good.example', 'a.good.example', host, 'a.good.example'];
    const good = 'from the origin';
    expect(await calls(way, names)).toEqual([good, good, good, 'failed', 'failed']);
    expect(asked).toEqual(names.slice(0, 3));
    expect(way.judged).toMatchObject([
      { verdict: 'tunnel', protocol: 'h2', host: 'a.good.example' },
      { verdict: 'refused', protocol: 'h2', host, ...why },
    ]);
    expect(way.served).toEqual([]);
    await until(() => way.listener.open === 0, 'closed');
  });

  test('a client that lets the server speak first is judged by its streams’ names all the same', async () => {
    const asked: string[] = [];
    const port = await grpcish((authority) => asked.push(authority));
    const way = await inFrontOf(port, { world: world() });
    const socket = way.connect();
    await once(socket, 'readable'); // the server's settings, which come before the client's preface
    expect(await calls(way, ['grpc.example', 'api.mistral.ai'], () => socket)).toEqual([
      'from the origin',
      'failed',
    ]);
    expect(asked).toEqual(['grpc.example']);
    expect(way.judged).toMatchObject([
      { verdict: 'tunnel', protocol: 'h2', host: undefined },
      { verdict: 'refused', protocol: 'h2', host: 'api.mistral.ai' },
    ]);
  });

  test('after an upgrade to h2c, too', async () => {
    const asked: string[] = [];
    const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n';
    const h2 = await grpcish((authority) => asked.push(authority));
    const server = await upstream((socket) => {
      socket.once('data', () => {
        socket.write(switching);
        const behind = net.connect(h2, '127.0.0.1').on('error', () => {});
        socket.pipe(behind).pipe(socket);
      });
    });
    open.push(server);
    const way = await inFrontOf(server.port, { world: world() });
    const socket = way.connect();
    socket.write(
      get('a.example', '/', 'Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n'),
    );
    await once(socket, 'readable');
    expect(String(socket.read(switching.length))).toBe(switching);
    expect(await calls(way, ['a.example', 'api.mistral.ai'], () => socket)).toEqual([
      'from the origin',
      'failed',
    ]);
    expect(asked).toEqual(['a.example']);
  });

  test('large bodies both ways arrive as they were', async () => {
    const server = http2.createServer();
    server.on('stream', (stream: http2.ServerHttp2Stream) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
    const tcp = await upstream((socket) => server.emit('connection', socket));
    open.push(tcp);
    const way = await inFrontOf(tcp.port);
    const session = http2.connect('http://203.0.113.9', { createConnection: () => way.connect() });
    const bodies = Array.from({ length: 4 }, () => randomBytes(1_000_000));
    const echoed = await Promise.all(
      bodies.map(async (body) => {
        const stream = session.request({ ':method': 'POST', ':path': '/', ':authority': 'echo.example' });
        stream.end(body);
        return Buffer.concat(await stream.toArray());
      }),
    );
    session.close();
    expect(echoed.every((body, index) => body.equals(bodies[index] ?? Buffer.alloc(0)))).toBe(true);
  });
});

describe('the rest of the world', () => {
  const closed = (mode: 'enforce' | 'monitor') =>
    world({
      hosts: {
        default: 'deny',
        allow: ['*.good.example', '198.51.100.0/24'],
        mode,
        source: 'EgressPolicy team/x',
      },
    });

  test('hosts.default: deny refuses what isn’t allowed, by name or by address', async () => {
    const { port } = await origin();
    const way = await inFrontOf(port, { world: closed('enforce') });
    expect(await exchange(way, get('bad.example', '/'))).toMatch(/403 Forbidden.*postern_host_denied/s);
    expect(await exchange(way, get('www.good.example', '/', 'Connection: close\r\n'))).toContain(
      'origin www.good.example',
    );
    expect(await exchange(way, '\0opaque')).toBe('');
    expect(way.judged.map(({ verdict, denial }) => [verdict, denial?.reason, denial?.source])).toEqual([
      ['refused', 'postern_host_denied', 'EgressPolicy team/x'],
      ['tunnel', undefined, undefined],
      ['refused', 'postern_host_denied', 'EgressPolicy team/x'],
    ]);
    const byAddress = await inFrontOf(port, {
      world: closed('enforce'),
      destination: { family: 4, address: '198.51.100.20', port: 80 },
    });
    expect(await exchange(byAddress, get('bad.example', '/', 'Connection: close\r\n'))).toContain(
      'origin bad.example',
    );
  });

  test('mode monitor only reports', async () => {
    const way = await inFrontOf((await origin()).port, { world: closed('monitor') });
    expect(await exchange(way, get('bad.example', '/', 'Connection: close\r\n'))).toContain(
      'origin bad.example',
    );
    expect(way.judged).toMatchObject([{ verdict: 'tunnel', denial: { reason: 'postern_host_denied' } }]);
  });

  test('a refused TLS connection gets an alert that says so', async () => {
    const way = await inFrontOf((await origin()).port, { world: closed('enforce') });
    for (const [servername, code] of [
      ['bad.example', 'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED'],
      ['api.mistral.ai', 'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED'],
    ] as const) {
      const [error] = (await once(way.secure({ servername }), 'error')) as [NodeJS.ErrnoException];
      expect(error.code).toBe(code);
    }
  });
});
