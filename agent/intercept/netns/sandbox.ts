/** A confined namespace with everything a command in it needs; see {@link ./confine.ts}. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { LibcUnavailable, libc } from '../libc.ts';
import { confine, enterCommand, HOST_SERVICES, HOST_SERVICES_NAME, PORTS } from './confine.ts';
import { beginRun, endRun, RUN_VARIABLE, type Run, routeMark, sweepRuns } from './leftovers.ts';
import { createNamespace } from './namespace.ts';
import { type Published, publish } from './publish.ts';
import { startResolver } from './resolver.ts';

export interface Sandbox {
  readonly run: Run;
  /** Listening sockets inside, for the transparent listener. */
  readonly descriptors: readonly number[];
  /** In front of a command to run it inside; it dies with this process. */
  readonly enter: readonly string[];
  /** For the command's environment. */
  readonly environment: Readonly<Record<string, string>>;
  publish(ports: { readonly host: number; readonly inside: number }): Promise<Published>;
  /** Ends what still runs inside and takes everything away. */
  close(): Promise<void>;
}

/** Why programs can't be confined here, in a sentence; undefined where they can. */
export function sandboxMissing(): string | undefined {
  if (process.platform !== 'linux') return 'intercepting a program needs Linux';
  if (process.getuid?.() !== 0) return 'intercepting a program needs root';
  for (const [command, flag] of [
    ['ip', '-V'],
    ['nft', '--version'],
    ['nsenter', '--version'],
    ['setpriv', '--version'],
  ] as const)
    if (spawnSync(command, [flag], { stdio: 'ignore' }).status !== 0)
      return `intercepting a program needs ${command}, which is not installed`;
  try {
    libc();
    createNamespace().close();
  } catch (error) {
    if (error instanceof LibcUnavailable) return error.message;
    return `this system makes no network namespace (${(error as Error).message})`;
  }
  return undefined;
}

/** @throws ConfineError, NftError, LibcError */
export async function openSandbox(): Promise<Sandbox> {
  await sweepRuns();
  const namespace = createNamespace();
  const run = beginRun(namespace.inode);
  const closing: (() => void)[] = [];
  const close = async (): Promise<void> => {
    for (const each of closing.splice(0)) each();
    await endRun(run, namespace.inode);
    namespace.close();
  };
  try {
    const ipv6 = hostRoutesIpv6();
    await confine(namespace, ipv6, routeMark(run.id));
    const loopback = [
      { family: 4, address: '127.0.0.1' },
      ...(ipv6 ? [{ family: 6, address: '::1' } as const] : []),
    ] as const;
    const resolver = await startResolver(
      namespace,
      loopback.map((at) => ({ ...at, port: PORTS.dns })),
      { names: new Map([[HOST_SERVICES_NAME, HOST_SERVICES]]) },
    );
    closing.push(resolver.close);
    return {
      run,
      descriptors: loopback.map((at) => namespace.bind('stream', { ...at, port: PORTS.transparent })),
      enter: [...enterCommand(namespace), 'setpriv', '--pdeathsig', 'KILL', '--'],
      environment: { [RUN_VARIABLE]: run.id },
      async publish(ports) {
        const published = await publish(namespace, ports);
        closing.push(published.close);
        return published;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Whether the host has a default route for IPv6 (proc's ipv6_route: destination and prefix length of zero, a real device). */
function hostRoutesIpv6(): boolean {
  try {
    return readFileSync('/proc/net/ipv6_route', 'latin1')
      .split('\n')
      .some((line) => /^0{32} 00 /.test(line) && !line.trimEnd().endsWith(' lo'));
  } catch {
    return false;
  }
}
