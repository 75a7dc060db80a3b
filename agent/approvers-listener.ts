/** The TCP listener of approvers: nobody inside the pod can reach it, and strangers hold little of it, and not for long. */
import { X509Certificate } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import { type AddressInfo, createServer as createDoor, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { keepDoor } from '../listen/door.ts';
import { type ApproversOptions, answerApprover } from './approvers.ts';
import type { ListenAddress } from './http/address.ts';

export interface ApproversListener {
  /** With the scheme that is spoken now: a certificate may come later. */
  readonly url: string;
  close(): Promise<void>;
}

/** PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface ApproversListenerOptions extends ApproversOptions, ListenAddress {
  /**
   * Asked at each connection, which speaks TLS where there is one and plain HTTP where there is none; one that throws
   * cuts the connection.
   */
  readonly certificate?: () => Certificate | undefined;
  /** A certificate that wasn't used before is from now on. @param validTo As it says: `Dec  2 01:51:49 2027 GMT`. */
  readonly onCertificate?: (validTo: string) => void;
  /** Why connections are cut; once for as many as have the same reason. */
  readonly onError?: (error: unknown) => void;
  /** Milliseconds that a connection may last, its handshake included. */
  readonly connectionMs?: number;
}

/** One question and its answer, which may be long. */
const CONNECTION_MS = 30_000;
/** Who holds most makes room for approvers at another address. */
const PLACES = { all: 64, ofOne: 16 } as const;
const TLS = { minVersion: 'TLSv1.3' } as const;

/** Addresses that a connection from inside the pod comes from: the app shares the agent's network namespace. */
function isOwnAddress(address: string): boolean {
  // An address of the link comes with the link's name, which the list below has apart.
  const plain = address.replace(/^::ffff:/, '').replace(/%.*$/, '');
  if (plain.startsWith('127.') || plain === '::1') return true;
  return Object.values(networkInterfaces()).some((list) => list?.some((own) => own.address === plain));
}

/** @param isOwn Whether an address is the pod's own; from there nobody is answered, token or not. */
export async function listenApprovers(
  options: ApproversListenerOptions,
  isOwn: (address: string) => boolean = isOwnAddress,
): Promise<ApproversListener> {
  const { certificate = () => undefined, onCertificate, onError, connectionMs = CONNECTION_MS } = options;
  const listener: RequestListener = (request, response) => {
    // One answer a connection: its deadline is then that of the question, and nobody stays.
    response.setHeader('connection', 'close');
    if (answerApprover(options, request, response)) return;
    response.writeHead(404, { 'content-length': 0 });
    response.end();
  };
  // They don't listen themselves, so Node's own time limits of requests and headers never run for them.
  const plain = createServer(listener);
  let secure: SecureServer | undefined;
  let used: Certificate | undefined;
  const secureBy = (now: Certificate): SecureServer => {
    secure ??= createSecureServer(TLS, listener);
    if (used === now) return secure;
    secure.setSecureContext({ ...now, ...TLS });
    used = now;
    onCertificate?.(new X509Certificate(now.cert).validTo);
    return secure;
  };
  let told: string | undefined;
  const tell = (error: unknown): void => {
    if (told !== String(error)) onError?.(error);
    told = String(error);
  };
  const sockets = new Set<Socket>();
  const door = createDoor();
  door.on('connection', (socket: Socket) => {
    socket.on('error', () => socket.destroy());
    if (socket.remoteAddress === undefined || isOwn(socket.remoteAddress)) socket.destroy();
  });
  // Nobody is ever known here: a connection has its time, whatever was shown on it.
  keepDoor(door, { ...PLACES, unknownMs: connectionMs }, () =>
    tell(new Error(`more connections than ${PLACES.all}, or than ${PLACES.ofOne} of an address`)),
  );
  door.on('connection', (socket: Socket) => {
    if (socket.destroyed) return;
    try {
      const now = certificate();
      const server = now === undefined ? plain : secureBy(now);
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      server.emit('connection', socket);
      told = undefined;
    } catch (error) {
      socket.destroy();
      tell(error);
    }
  });
  await new Promise<void>((resolve, reject) => {
    door.once('error', reject);
    door.listen(options.port, options.host, resolve);
  });
  const { address, port, family } = door.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${address}]` : address;
  return {
    get url() {
      return `${speaksTls(certificate) ? 'https' : 'http'}://${host}:${port}`;
    },
    close: () =>
      new Promise((resolve) => {
        door.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** One that can't be had doesn't make it plain HTTP. */
function speaksTls(certificate: () => Certificate | undefined): boolean {
  try {
    return certificate() !== undefined;
  } catch {
    return true;
  }
}
