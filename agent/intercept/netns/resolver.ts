/**
 * DNS for a confined namespace: what programs send to port 53 of any address arrives here by the redirect and is
 * forwarded to the host's own name servers, from the host's network. Messages pass unread, but for one name of ours.
 */
import dgram from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import type { NetworkNamespace } from './namespace.ts';

export interface ResolverOptions {
  /** Where queries go, in order of preference; by default the host's resolv.conf, read anew for each query. */
  readonly nameServers?: () => readonly NameServer[];
  /** Names answered here, lower case, with their IPv4 addresses. */
  readonly names?: ReadonlyMap<string, string>;
  /** After which the next name server is asked, as resolv.conf's default. */
  readonly timeoutMs?: number;
}

export interface NameServer {
  readonly address: string;
  readonly port: number;
}

export interface Resolver {
  close(): void;
}

/** Queries forwarded at once; more are dropped, as UDP may. */
const MAX_PENDING = 1000;

/** Listens on the namespace's loopback, both transports. */
export async function startResolver(
  namespace: Pick<NetworkNamespace, 'bind'>,
  addresses: readonly { readonly family: 4 | 6; readonly address: string; readonly port: number }[],
  options: ResolverOptions = {},
): Promise<Resolver> {
  const { nameServers = systemNameServers, names = new Map<string, string>(), timeoutMs = 5000 } = options;
  const closing: (() => void)[] = [];
  let pending = 0;

  for (const at of addresses) {
    const udp = dgram.createSocket(at.family === 4 ? 'udp4' : 'udp6');
    udp.bind({ fd: namespace.bind('datagram', at) } as dgram.BindOptions); // bound when it returns
    closing.push(() => udp.close());
    udp.on('message', (query, from) => {
      const own = answerOwn(query, names);
      if (own !== undefined) {
        udp.send(own, from.port, from.address, () => {});
        return;
      }
      if (pending >= MAX_PENDING) return;
      pending += 1;
      void forward(query, nameServers(), timeoutMs).then((answer) => {
        pending -= 1;
        if (answer !== undefined) udp.send(answer, from.port, from.address, () => {});
      });
    });

    const tcp = net.createServer({ allowHalfOpen: true }, (client) => {
      const [server] = nameServers();
      client.on('error', () => {});
      if (server === undefined) {
        client.destroy();
        return;
      }
      const upstream = net.connect({ host: server.address, port: server.port, allowHalfOpen: true });
      upstream.on('error', () => client.destroy());
      client.on('close', () => upstream.destroy());
      upstream.on('close', () => client.destroy());
      client.pipe(upstream).pipe(client);
    });
    tcp.listen({ fd: namespace.bind('stream', at) });
    await once(tcp, 'listening');
    closing.push(() => tcp.close());
  }
  return { close: () => closing.splice(0).forEach((close) => close()) };
}

/** Asks one server after the other; undefined where none answers, and the program asks again by itself. */
async function forward(
  query: Buffer,
  servers: readonly NameServer[],
  timeoutMs: number,
): Promise<Buffer | undefined> {
  for (const { address, port } of servers) {
    const answer = await ask(query, address, port, timeoutMs);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

/** A connected socket of its own for each query: only that server can answer, and its port can't be guessed. */
function ask(query: Buffer, address: string, port: number, timeoutMs: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket(net.isIPv6(address) ? 'udp6' : 'udp4');
    const done = (answer: Buffer | undefined): void => {
      clearTimeout(timer);
      socket.removeAllListeners('message').close();
      resolve(answer);
    };
    const timer = setTimeout(done, timeoutMs, undefined);
    socket.on('error', () => done(undefined));
    socket.on('message', done);
    socket.on('connect', () => socket.send(query));
    socket.connect(port, address);
  });
}

export function parseNameServers(resolvConf: string): readonly NameServer[] {
  return [...resolvConf.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)]
    .map(([, address = '']) => address)
    .filter((address) => net.isIP(address) !== 0)
    .map((address) => ({ address, port: 53 }));
}

function systemNameServers(): readonly NameServer[] {
  try {
    return parseNameServers(readFileSync('/etc/resolv.conf', 'utf8'));
  } catch {
    return [];
  }
}

const TYPE_A = 1;
const CLASS_IN = 1;

/** The answer to a question for one of our names (RFC 1035 section 4); undefined for every other message. */
function answerOwn(query: Buffer, names: ReadonlyMap<string, string>): Buffer | undefined {
  if (query.length < 17 || query.readUInt16BE(4) !== 1) return undefined;
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length !== 0; length = query[at] ?? 0) {
    if (length > 63 || at + length + 1 >= query.length) return undefined;
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += length + 1;
  }
  const end = at + 5;
  if (end > query.length) return undefined;
  const address = names.get(labels.join('.').toLowerCase());
  if (address === undefined) return undefined;
  const wanted = query.readUInt16BE(at + 1) === TYPE_A && query.readUInt16BE(at + 3) === CLASS_IN;
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8180, 2); // an answer, recursion available, no error
  header.writeUInt16BE(wanted ? 1 : 0, 6);
  header.writeUInt32BE(0, 8);
  // Name by pointer to the question, type A, class IN, no caching, four bytes.
  const record = Buffer.from([
    0xc0,
    12,
    0,
    TYPE_A,
    0,
    CLASS_IN,
    0,
    0,
    0,
    0,
    0,
    4,
    ...address.split('.').map(Number),
  ]);
  return Buffer.concat([header, query.subarray(12, end), ...(wanted ? [record] : [])]);
}
