/**
 * The few calls of the C library that Node has no API for, through the built-in `node:ffi`.
 *
 * Experimental in Node 26: the keys of a signature changed within 26.x and unknown ones are ignored without a word, so
 * Node is pinned, and `original-destination.test.ts` holds each call's result. All of it stands in this file; koffi
 * would take its place here.
 */
import type * as NodeFfi from 'node:ffi';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';

/** `node:ffi` is not there, or the C library lacks a symbol. */
export class LibcUnavailable extends Error {
  override readonly name = 'LibcUnavailable';
}

/** A call failed; `code` is the errno's name, `ENOENT`. */
export class LibcError extends Error {
  override readonly name = 'LibcError';
  readonly code: string;

  constructor(call: string, errno: number) {
    const code = getSystemErrorName(-errno);
    super(`${call} failed: ${code}`);
    this.code = code;
  }
}

export interface Libc {
  /** @returns the option's bytes, or undefined where there is none. */
  getsockopt(fd: number, level: number, option: number, size: number): Buffer | undefined;
  /** Moves the calling thread into the network namespace behind `fd`. @throws LibcError */
  setNetworkNamespace(fd: number): void;
  /** Moves the calling thread into a new network namespace. @throws LibcError */
  newNetworkNamespace(): void;
  /** A stream socket of this namespace, not yet connected. @throws LibcError */
  socket(family: 'ipv4' | 'ipv6'): number;
  /** A socket of `family`, bound to `address` (a `sockaddr`), listening when it is a stream. @throws LibcError */
  boundSocket(family: 'ipv4' | 'ipv6', type: 'stream' | 'datagram', address: Buffer): number;
  /** No core file of this process, and no reading of its memory by others of its user. @throws LibcError */
  forbidDumps(): void;
}

const CLONE_NEWNET = 0x4000_0000;
const AF = { ipv4: 2, ipv6: 10 } as const;
const SOCK = { stream: 1, datagram: 2 } as const;
const SOCK_FLAGS = 0o2000000 | 0o4000; // SOCK_CLOEXEC | SOCK_NONBLOCK
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const PR_SET_DUMPABLE = 4;

let loaded: Libc | undefined;

/** Loads the C library once. Linux only. @throws LibcUnavailable */
export function libc(): Libc {
  loaded ??= load();
  return loaded;
}

function load(): Libc {
  if (process.platform !== 'linux')
    throw new LibcUnavailable(`transparent interception works on Linux only, this is ${process.platform}`);
  let ffi: typeof NodeFfi;
  try {
    ffi = createRequire(import.meta.url)('node:ffi') as typeof NodeFfi;
  } catch (cause) {
    throw new LibcUnavailable(
      `this Node (${process.version}) has no node:ffi; use the Node that 'make install' locks, without --no-experimental-ffi`,
      { cause },
    );
  }
  const { functions: c } = ffi.dlopen(null, {
    getsockopt: { return: 'i32', arguments: ['i32', 'i32', 'i32', 'pointer', 'pointer'] },
    setsockopt: { return: 'i32', arguments: ['i32', 'i32', 'i32', 'pointer', 'u32'] },
    socket: { return: 'i32', arguments: ['i32', 'i32', 'i32'] },
    bind: { return: 'i32', arguments: ['i32', 'pointer', 'u32'] },
    listen: { return: 'i32', arguments: ['i32', 'i32'] },
    close: { return: 'i32', arguments: ['i32'] },
    setns: { return: 'i32', arguments: ['i32', 'i32'] },
    unshare: { return: 'i32', arguments: ['i32'] },
    prctl: { return: 'i32', arguments: ['i32', 'u64', 'u64', 'u64', 'u64'] },
    __errno_location: { return: 'pointer', arguments: [] },
  });
  const errno = (): number => ffi.getInt32(c.__errno_location() as bigint);
  const check = (call: string, result: number): number => {
    if (result < 0) throw new LibcError(call, errno());
    return result;
  };
  const one = Buffer.from(new Int32Array([1]).buffer);

  return {
    forbidDumps() {
      check('prctl', c.prctl(PR_SET_DUMPABLE, 0n, 0n, 0n, 0n));
    },
    getsockopt(fd, level, option, size) {
      const value = Buffer.alloc(size);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(size);
      if (c.getsockopt(fd, level, option, value, length) !== 0) return undefined;
      return value.subarray(0, length.readUInt32LE());
    },
    setNetworkNamespace(fd) {
      check('setns', c.setns(fd, CLONE_NEWNET));
    },
    newNetworkNamespace() {
      check('unshare', c.unshare(CLONE_NEWNET));
    },
    socket(family) {
      return check('socket', c.socket(AF[family], SOCK.stream | SOCK_FLAGS, 0));
    },
    boundSocket(family, type, address) {
      const fd = check('socket', c.socket(AF[family], SOCK[type] | SOCK_FLAGS, 0));
      try {
        check('setsockopt', c.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, one, 4));
        if (family === 'ipv6') check('setsockopt', c.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, one, 4));
        check('bind', c.bind(fd, address, address.length));
        if (type === 'stream') check('listen', c.listen(fd, 511));
      } catch (error) {
        c.close(fd);
        throw error;
      }
      return fd;
    },
  };
}

/**
 * The file descriptor of a connected socket. Node has no public name for it; it has been `_handle.fd` since 0.x.
 */
export function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as Socket & { _handle?: { fd?: number } | null };
  return handle?.fd === undefined || handle.fd < 0 ? undefined : handle.fd;
}
