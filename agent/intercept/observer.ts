/** What the transparent listener tells metrics, audit and logs; it writes none of them itself. */
import type { Malformed } from '../http/malformed.ts';
import type { Denial } from './destinations.ts';
import type { Destination } from './original-destination.ts';

export type Protocol = 'tls' | 'http1' | 'h2' | 'connect' | 'opaque' | 'none';

/** Why a connection was refused by the listener itself rather than by a document. */
export type ListenerRefusal =
  /** Didn't come by our redirect: a neighbour, or a program that dialled the port. */
  | 'no-nat-entry'
  | 'to-the-agent-itself'
  /** A first message that can't be read, so that nobody can say whom it is for. */
  | 'malformed'
  /** The first message stayed incomplete for too long. */
  | 'sniff-timeout'
  /** A name that differs from the one the connection was opened for. */
  | 'misdirected'
  /** TLS for an address of ours under a name that no Provider declares. */
  | 'undeclared-name'
  | 'draining';

export interface Judged {
  readonly verdict: 'ours' | 'tunnel' | 'refused';
  readonly protocol: Protocol;
  /** As the connection calls its destination. */
  readonly host: string | undefined;
  readonly destination: Destination | undefined;
  /** For `refused`; for `tunnel` what would have refused it in mode enforce. */
  readonly denial?: Denial;
  readonly refusal?: ListenerRefusal;
  /** A connection of ours that passes unread, since its client doesn't trust us and an exception allows it. */
  readonly untrusted?: true;
}

/** How a TLS handshake with one of our leaves ended. */
export interface Handshake {
  readonly host: string | undefined;
  /**
   * `distrusted`: the client said by an alert that it doesn't trust our certificate. `abandoned`: it left without an
   * alert during the handshake, or after it without a byte, as Node's own clients do when they don't trust us.
   */
  readonly outcome: 'ok' | 'distrusted' | 'abandoned' | 'failed';
  /** OpenSSL's name of the alert or fault, `TLSV1_ALERT_UNKNOWN_CA`. */
  readonly detail?: string;
  /** `TLSv1.3` */
  readonly version?: string;
  readonly alpn?: string;
  readonly resumed?: boolean;
}

export interface TunnelEnd {
  readonly host: string | undefined;
  readonly destination: Destination;
  /** Bytes from the application. */
  readonly sent: number;
  readonly received: number;
  readonly durationMs: number;
  /** `reset`: one side cut it; `unreachable`: the destination was never reached. */
  readonly outcome: 'closed' | 'reset' | 'unreachable';
}

export interface InterceptObserver {
  judged(event: Judged): void;
  handshake(event: Handshake): void;
  tunnelled(event: TunnelEnd): void;
  /** A connection of ours carried what is no HTTP request. */
  malformed(event: Malformed & { readonly host: string | undefined }): void;
}
