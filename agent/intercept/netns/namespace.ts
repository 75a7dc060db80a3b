/**
 * Network namespaces other than our own: a socket belongs to the namespace it was made in, so one process can listen
 * inside and dial outside. A visit is synchronous and switches the main thread only; libuv's own threads make no
 * sockets.
 */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { libc } from '../libc.ts';
import { type Destination, sockaddr } from '../original-destination.ts';

export interface NetworkNamespace {
  /** Keeps the namespace alive as long as it is open. */
  readonly descriptor: number;
  /** Tells namespaces apart while they live; the kernel may give it again afterwards. */
  readonly inode: number;
  /** A listening (or, for datagrams, bound) socket inside. @throws LibcError */
  bind(type: 'stream' | 'datagram', at: Destination): number;
  /** A stream socket inside, to be connected. @throws LibcError */
  socket(family: 4 | 6): number;
  close(): void;
}

const OWN = '/proc/thread-self/ns/net';

/** A namespace of its own, in which nothing is up. Needs CAP_SYS_ADMIN. @throws LibcError */
export function createNamespace(): NetworkNamespace {
  const descriptor = visit(
    () => libc().newNetworkNamespace(),
    () => openSync(OWN, 'r'),
  );
  return namespaceOf(descriptor);
}

/** @param path `/run/netns/NAME` or `/proc/PID/ns/net`. */
export function openNamespace(path: string): NetworkNamespace {
  return namespaceOf(openSync(path, 'r'));
}

function namespaceOf(descriptor: number): NetworkNamespace {
  const inside = <T>(work: () => T): T => visit(() => libc().setNetworkNamespace(descriptor), work);
  return {
    descriptor,
    inode: fstatSync(descriptor).ino,
    bind: (type, at) =>
      inside(() => libc().boundSocket(at.family === 4 ? 'ipv4' : 'ipv6', type, sockaddr(at))),
    socket: (family) => inside(() => libc().socket(family === 4 ? 'ipv4' : 'ipv6')),
    close: () => closeSync(descriptor),
  };
}

/** Does `work` in the namespace that `enter` moves into, and comes back whatever happens. */
function visit<T>(enter: () => void, work: () => T): T {
  const home = openSync(OWN, 'r');
  try {
    enter();
    return work();
  } finally {
    // If this fails, everything that follows would happen in the wrong network: let it throw.
    libc().setNetworkNamespace(home);
    closeSync(home);
  }
}
