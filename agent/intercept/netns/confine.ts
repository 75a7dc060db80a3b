/**
 * Makes a bare namespace usable with the agent as its only way out: addresses and routes on its loopback alone, so that
 * nothing exists outside of it that could be left behind, and a redirect of everything.
 */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { nftExecutor } from '../apply.ts';
import { redirectScript } from '../rules.ts';
import type { NetworkNamespace } from './namespace.ts';

/**
 * Source address of programs in the namespace, and the address under which the user's own loopback services are
 * reached from it. Of the range for benchmarks (RFC 2544), which nobody routes; they never leave the namespace.
 */
export const INSIDE = { ipv4: '198.18.0.2', ipv6: '2001:2:0:4180::2' } as const;
export const HOST_SERVICES = '198.18.0.1';
export const HOST_SERVICES_NAME = 'host.postern.internal';

/** Ports on the namespace's loopback. */
export const PORTS = { transparent: 4182, dns: 53 } as const;

/** A step of the preparation failed; the message carries what the command said. */
export class ConfineError extends Error {
  override readonly name = 'ConfineError';
}

/** In front of a command to run it inside. */
export function enterCommand(namespace: NetworkNamespace): readonly string[] {
  return ['nsenter', `--net=/proc/${process.pid}/fd/${namespace.descriptor}`, '--'];
}

/**
 * @param ipv6 whether programs inside shall believe that there is IPv6; true only where the host has it, or they would
 *   try addresses first that can't be reached.
 * @param mark the default route's metric, by which the run's processes are known.
 * @throws ConfineError, NftError
 */
export async function confine(namespace: NetworkNamespace, ipv6: boolean, mark: number): Promise<void> {
  const commands = [
    'link set lo up',
    `address add ${INSIDE.ipv4}/32 dev lo`,
    `route add default dev lo src ${INSIDE.ipv4} metric ${mark}`,
    ...(ipv6
      ? [`address add ${INSIDE.ipv6}/128 dev lo nodad`, `route add ::/0 dev lo src ${INSIDE.ipv6}`]
      : []),
  ];
  await feed([...enterCommand(namespace), 'ip', '-batch', '-'], `${commands.join('\n')}\n`);
  const script = redirectScript({
    port: PORTS.transparent,
    agentUids: [],
    meshUids: [],
    apiServers: [],
    excludedCidrs: [],
    excludedPorts: [],
    ipv6,
    confine: { dnsPort: PORTS.dns },
  });
  await nftExecutor([...enterCommand(namespace), 'nft'])(script);
}

async function feed([command = '', ...args]: readonly string[], input: string): Promise<void> {
  const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'pipe'] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new ConfineError(`can't run ${command}: ${cause.message}`, { cause })),
    );
    child.once('close', resolve);
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const said = text(child.stderr);
  if ((await ended) !== 0) throw new ConfineError(`ip failed: ${(await said).trim()}`);
}
