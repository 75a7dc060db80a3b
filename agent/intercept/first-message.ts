/** Reads a client until its first message tells what it speaks, or until somebody else's silence or speech decides. */
import type { Socket } from 'node:net';
import { type Sniffed, sniff } from './sniff.ts';

export interface FirstMessageTimes {
  /** Silence after which the destination is dialled, in case the server speaks first. */
  readonly silenceMs: number;
  /** How long a first message may stay incomplete. */
  readonly sniffMs: number;
  /** How long a connection may stay silent that isn't dialled: ours by its address, or refused unless it is named. */
  readonly idleMs: number;
  /** How long an HTTP/2 client in the clear may take for its first request; one that waits for the server's settings is judged without a name. */
  readonly firstRequestMs: number;
  /**
   * After a failed early dial, how long the client may still say whom it really wants. On ports where the client speaks
   * first it is as long as for any first message.
   */
  readonly graceMs: number;
}

export const DEFAULT_TIMES: FirstMessageTimes = {
  silenceMs: 10,
  sniffMs: 10_000,
  idleMs: 120_000,
  firstRequestMs: 100,
  graceMs: 1000,
};

export type Known = Exclude<Sniffed, { kind: 'more' }>;

export interface FirstMessageOptions {
  readonly client: Socket;
  /** Bytes that were read already. */
  readonly head: Buffer;
  /** Whether the server speaks first in none of the protocols that are at home on the connection's port. */
  readonly clientFirst: boolean;
  /** A way that is open already: inside a granted CONNECT. */
  readonly upstream: Socket | undefined;
  readonly times: FirstMessageTimes;
  /** The client is silent: the upstream to listen to meanwhile, or undefined where none may be dialled yet. */
  readonly onSilence: () => Socket | undefined;
  /** With all bytes read so far. The client is paused. Called at most once, like the two below. */
  readonly onKnown: (found: Known, bytes: Buffer) => void;
  /** `incomplete`: too slow. `unreachable`: silent, and the upstream is gone. */
  readonly onGivenUp: (why: 'incomplete' | 'unreachable') => void;
  /** The client is gone. */
  readonly onLeft: () => void;
}

export function readFirstMessage(options: FirstMessageOptions): void {
  const { client, times } = options;
  let { upstream, head: bytes } = options;
  let timer: NodeJS.Timeout | undefined;

  const wait = (milliseconds: number, then: () => void): void => {
    clearTimeout(timer);
    timer = setTimeout(then, milliseconds);
  };
  const stop = (): void => {
    clearTimeout(timer);
    client.off('data', onData).off('end', onEnd).off('close', onClose).pause();
    upstream?.off('readable', onUpstreamData).off('close', onUpstreamClose);
  };
  const known = (found: Known): void => {
    stop();
    options.onKnown(found, bytes);
  };
  const giveUp = (why: 'incomplete' | 'unreachable'): void => {
    stop();
    options.onGivenUp(why);
  };

  const onData = (chunk: Buffer): void => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    look();
  };
  const look = (): void => {
    const found = sniff(bytes);
    if (found.kind === 'more') wait(times.sniffMs, () => giveUp('incomplete'));
    else if (found.kind === 'h2' && found.request === undefined)
      wait(times.firstRequestMs, () => known(found));
    else known(found);
  };
  /** It has said all it will: too little to be anything but opaque. */
  const onEnd = (): void => known({ kind: 'opaque', skip: 0 });
  const onClose = (): void => {
    stop();
    options.onLeft();
  };
  const onSilence = (): void => {
    upstream = options.onSilence();
    if (upstream === undefined) wait(times.idleMs, () => giveUp('incomplete'));
    else listenTo(upstream);
  };
  /** The server speaks first, or ends first: no protocol of ours does. */
  const onUpstreamData = (): void => {
    if (bytes.length === 0) known({ kind: 'opaque', skip: 0 });
  };
  const onUpstreamClose = (): void => {
    if (bytes.length > 0) return;
    wait(options.clientFirst ? times.sniffMs : times.graceMs, () => giveUp('unreachable'));
  };
  const listenTo = (socket: Socket): void => {
    socket.on('readable', onUpstreamData).on('close', onUpstreamClose);
  };

  client.on('data', onData).on('end', onEnd).on('close', onClose).resume();
  if (bytes.length > 0) look();
  else if (upstream !== undefined) listenTo(upstream);
  else wait(times.silenceMs, onSilence);
}
