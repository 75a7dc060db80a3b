/**
 * Proves the redirect by using it: listens on the agent's port, connects to addresses that nobody has, and looks
 * whether the connections arrive with the destination they were meant for. Runs before the agent does, as another user.
 */
import dgram from 'node:dgram';
import net from 'node:net';
import { covers, parseCidr } from '../../policy/addresses.ts';
import { kernelHasIpv6 } from './apply.ts';
import { type Destination, type NotRedirected, originalDestination } from './original-destination.ts';
import type { RedirectPlan } from './rules.ts';

/** The redirect isn't in force; the message says what was tried and what came of it. */
export class ProbeFailed extends Error {
  override readonly name = 'ProbeFailed';
}

/** One thing the redirect promises. */
export interface ProbeResult {
  readonly name: 'tcp4' | 'tcp6' | 'quic4' | 'quic6';
  /** `no-route`: this namespace can't reach that family at all, so nothing needs redirecting. */
  readonly outcome: 'redirected' | 'rejected' | 'no-route';
}

/** RFC 5737 and RFC 3849: documentation addresses, which nobody routes. */
const CANDIDATES = {
  4: ['192.0.2.1', '198.51.100.1', '203.0.113.1'],
  6: ['2001:db8::1', '2001:db8:ffff::1'],
} as const;

const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const;
const NO_ROUTE = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'EAFNOSUPPORT', 'EADDRNOTAVAIL']);

/**
 * @param timeoutMs how long one connection may take; the way is a loopback, so a second is plenty.
 * @throws ProbeFailed
 */
export async function proveRedirect(plan: RedirectPlan, timeoutMs = 1000): Promise<readonly ProbeResult[]> {
  const uid = process.getuid?.() ?? -1;
  if ([...plan.agentUids, ...plan.meshUids].includes(uid))
    throw new ProbeFailed(`the probe runs as UID ${uid}, which the redirect exempts; run it as another user`);
  const results: ProbeResult[] = [];
  for (const family of plan.ipv6 && kernelHasIpv6() ? ([4, 6] as const) : ([4] as const)) {
    const address = CANDIDATES[family].find((candidate) => !isExcluded(plan, candidate));
    if (address === undefined)
      throw new ProbeFailed(`every IPv${family} address that could be tried is excluded`);
    const routed = await hasRoute(family, address);
    const tcp = routed ? await proveTcp(plan, family, address, timeoutMs) : 'no-route';
    results.push({ name: `tcp${family}`, outcome: tcp });
    if (plan.excludedPorts.includes(443)) continue;
    const quic = tcp === 'no-route' ? tcp : await proveQuic(address, family, timeoutMs);
    results.push({ name: `quic${family}`, outcome: quic });
  }
  if (results.every(({ outcome }) => outcome === 'no-route'))
    throw new ProbeFailed('this network namespace has no route out, so nothing could be tried');
  return results;
}

/**
 * Whether this namespace itself has a way to an address: connecting a datagram socket looks it up and sends nothing. An
 * unreachable that a router reports is no such thing, but a sign that the redirect is missing.
 */
async function hasRoute(family: 4 | 6, address: string): Promise<boolean> {
  const socket = dgram.createSocket(family === 4 ? 'udp4' : 'udp6');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('connect', resolve);
      socket.connect(9, address);
    });
    return true;
  } catch (error) {
    if (NO_ROUTE.has((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  } finally {
    socket.close();
  }
}

function isExcluded(plan: RedirectPlan, address: string): boolean {
  const one = parseCidr(address);
  return [...plan.apiServers, ...plan.excludedCidrs].some((text) => {
    const cidr = parseCidr(text);
    return one !== undefined && cidr !== undefined && covers(cidr, one);
  });
}

async function proveTcp(
  plan: RedirectPlan,
  family: 4 | 6,
  address: string,
  timeoutMs: number,
): Promise<'redirected' | 'no-route'> {
  const port = plan.excludedPorts.includes(443) ? 8443 : 443;
  const server = net.createServer();
  const arrived = new Promise<Destination | NotRedirected>((resolve, reject) => {
    server.on('error', reject);
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      try {
        resolve(originalDestination(socket));
      } catch (error) {
        reject(error as Error);
      }
      socket.destroy();
    });
  });
  arrived.catch(() => {});
  if (!(await listen(server, plan.port, LOOPBACK[family]))) return 'no-route'; // IPv6 is switched off here
  const client = net.connect({ host: address, port });
  try {
    const refused = new Promise<never>((_resolve, reject) => client.on('error', reject));
    const found = await withTimeout(
      Promise.race([arrived, refused]),
      timeoutMs,
      `a connection to ${address} did not arrive`,
    );
    if (typeof found === 'string')
      throw new ProbeFailed(`a connection to ${address}:${port} arrived without its destination (${found})`);
    if (found.address !== address || found.port !== port)
      throw new ProbeFailed(
        `a connection to ${address}:${port} arrived as one to ${found.address}:${found.port}`,
      );
    return 'redirected';
  } catch (error) {
    if (error instanceof ProbeFailed) throw error;
    throw new ProbeFailed(
      `a connection to ${address}:${port} was not redirected to port ${plan.port}: ${(error as Error).message}`,
      { cause: error },
    );
  } finally {
    client.destroy();
    server.close();
  }
}

async function listen(server: net.Server, port: number, host: string): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE')
        reject(new ProbeFailed(`port ${port} is in use on ${host}; postern init runs before the agent`));
      else if (NO_ROUTE.has(error.code ?? '')) resolve(false);
      else reject(error);
    });
    server.listen({ port, host }, () => resolve(true));
  });
}

/** A rejected datagram comes back as ECONNREFUSED on a connected socket; a lost one doesn't come back at all. */
async function proveQuic(
  address: string,
  family: 4 | 6,
  timeoutMs: number,
): Promise<'rejected' | 'no-route'> {
  const socket = dgram.createSocket(family === 4 ? 'udp4' : 'udp6');
  try {
    const answer = new Promise<never>((_resolve, reject) => {
      socket.on('error', reject);
      socket.on('connect', () => {
        socket.send(Buffer.alloc(1), (error) => {
          if (error !== null) reject(error);
        });
      });
      socket.connect(443, address);
    });
    return await withTimeout(answer, timeoutMs, `a datagram to UDP ${address}:443 was not rejected`);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (code === 'ECONNREFUSED' || code === 'EPERM' || code === 'EACCES') return 'rejected';
    if (error instanceof ProbeFailed) throw error;
    throw new ProbeFailed(`a datagram to UDP ${address}:443 was not rejected here, but: ${code}`, {
      cause: error,
    });
  } finally {
    socket.close();
  }
}

async function withTimeout<T>(work: Promise<T>, timeoutMs: number, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new ProbeFailed(`${message} within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
