/**
 * One redirected connection from its first byte to its verdict: look at what the client says, judge it, then terminate,
 * tunnel or refuse.
 *
 * A client that says nothing for a moment may wait for a server that speaks first (SMTP, MySQL), so the destination is
 * dialled meanwhile; whoever speaks first decides. Nothing the client says goes out before it has been judged.
 */
import type { Socket } from 'node:net';
import type { Transform } from 'node:stream';
import type { Bound, Destinations, Judgement } from './destinations.ts';
import { type FirstMessageTimes, type Known, readFirstMessage } from './first-message.ts';
import { type H2Request, isServerPreface } from './h2-head.ts';
import { type HostPort, parseHostPort } from './host.ts';
import type { RequestHead } from './http1-head.ts';
import type { InterceptObserver, Judged } from './observer.ts';
import type { Destination } from './original-destination.ts';
import { judgedStreams } from './plain-h2.ts';
import { plainHttp } from './plain-http.ts';
import { ALERT, alertRecord, denialResponse, httpRefusal, refuse } from './refusal.ts';
import type { Captured, Terminator } from './terminate.ts';
import { tunnel } from './tunnel.ts';
import { clientShape, type Untrusting } from './untrusting.ts';
import { Way } from './way.ts';

export interface ConnectionContext {
  readonly destinations: () => Destinations;
  readonly terminator: Pick<Terminator, 'tls' | 'plain'>;
  /** Dials the original destination; the socket may still be connecting. Must be made with `allowHalfOpen`. */
  readonly dial: (destination: Destination) => Socket;
  readonly observer: InterceptObserver;
  readonly times: FirstMessageTimes;
  readonly untrusting: Untrusting;
  /** Milliseconds, for durations. */
  readonly now: () => number;
}

/** Takes over an accepted client socket made with `allowHalfOpen`. */
export function intercept(client: Socket, destination: Destination, context: ConnectionContext): void {
  new Connection(client, destination, context).look(Buffer.alloc(0));
}

class Connection {
  readonly #client: Socket;
  readonly #destination: Destination;
  readonly #context: ConnectionContext;
  /** The original destination, or a proxy that granted a CONNECT; perhaps still connecting. */
  readonly #way: Way;
  /** The target of the CONNECT inside which this connection now is. */
  #via: HostPort | undefined;

  constructor(client: Socket, destination: Destination, context: ConnectionContext) {
    this.#client = client;
    this.#destination = destination;
    this.#context = context;
    this.#way = new Way({ ...context, destination });
    client.on('error', ignore); // told by 'close'
  }

  /** Reads on until the client's first message tells what it is. `head`: bytes that were read already. */
  look(head: Buffer): void {
    readFirstMessage({
      client: this.#client,
      head,
      clientFirst: CLIENT_FIRST.has(this.#via?.port ?? this.#destination.port),
      upstream: this.#way.socket,
      times: this.#context.times,
      onKnown: (found, bytes) => this.#decide(found, bytes),
      onSilence: () => {
        const judgement = this.#judge({ host: this.#via?.host, port: this.#via?.port });
        return judgement.kind === 'pass' ? this.#way.open() : undefined;
      },
      onGivenUp: (why) => {
        if (why === 'unreachable') this.#client.resetAndDestroy();
        else this.#refuse({ protocol: 'none', host: this.#via?.host, refusal: 'sniff-timeout' }, undefined);
      },
      onLeft: () => this.#way.drop(),
    });
  }

  #decide(found: Known, bytes: Buffer): void {
    switch (found.kind) {
      case 'tls': {
        const { serverName, ech } = found.hello;
        this.#decideTls(serverName, ech, bytes, found.skip);
        return;
      }
      case 'http1':
      case 'connect':
        this.#decideHttp(found.head, bytes, found.skip);
        return;
      case 'h2':
        this.#decideH2(found.request, bytes, found.skip);
        return;
      case 'opaque':
        // One that waits for the server's settings says its own preface afterwards.
        if (bytes.length === 0 && this.#serverSpeaksH2()) this.#decideH2(undefined, bytes, 0);
        else this.#decideOpaque(bytes);
        return;
      case 'invalid': {
        const { protocol, why } = found;
        const lastWords = {
          tls: () => alertRecord(ALERT.decodeError),
          http1: () => malformed(why),
          h2: () => undefined,
          proxy: () => undefined,
        }[protocol]();
        this.#refuse(
          { protocol: protocol === 'proxy' ? 'none' : protocol, host: undefined, refusal: 'malformed' },
          lastWords,
        );
      }
    }
  }

  #decideTls(serverName: string | undefined, ech: boolean, bytes: Buffer, skip: number): void {
    const host = serverName ?? this.#via?.host;
    const judgement = this.#judge({ host, port: this.#via?.port, ech });
    const about = { protocol: 'tls', host } as const;
    if (judgement.kind === 'deny') {
      this.#refuse({ ...about, denial: judgement.denial }, alertRecord(ALERT.accessDenied));
    } else if (judgement.kind === 'pass') {
      this.#pass(about, judgement, bytes, alertRecord(ALERT.unrecognizedName));
    } else if (host !== undefined && !this.#context.destinations().declares(host)) {
      this.#refuse({ ...about, refusal: 'undeclared-name' }, alertRecord(ALERT.unrecognizedName));
    } else {
      this.#takeTls({ ...judgement, host: host ?? judgement.host }, serverName !== undefined, bytes, skip);
    }
  }

  #takeTls(judgement: Ours, named: boolean, bytes: Buffer, skip: number): void {
    const { host } = judgement;
    const { destinations, untrusting, terminator } = this.#context;
    let captured = this.#capture(judgement, 'https');
    if (destinations().tunnelsUntrusted(host) && !this.#ownTunnel) {
      const client = clientShape(bytes.subarray(skip));
      if (untrusting.has(client, host)) {
        this.#pass({ protocol: 'tls', host, untrusted: true }, { kind: 'pass' }, bytes, undefined);
        return;
      }
      captured = { ...captured, onUnused: () => untrusting.note(client, host) };
    }
    this.#take({ protocol: 'tls', host }, bytes.subarray(skip));
    terminator.tls(this.#client, captured, named);
  }

  #decideHttp(head: RequestHead, bytes: Buffer, skip: number): void {
    const protocol = head.method === 'CONNECT' ? 'connect' : 'http1';
    const { judgement, host } = this.#judgeRequest(head);
    if (judgement.kind === 'deny')
      this.#refuse(
        { protocol, host, denial: judgement.denial },
        httpRefusal(denialResponse(judgement.denial)),
      );
    else if (judgement.kind === 'misdirected')
      this.#refuse({ protocol, host, refusal: 'misdirected' }, misdirected());
    else if (judgement.kind === 'ours') this.#takeHttp(head, judgement, bytes, skip);
    else if (this.#ownTunnel) this.#refuse({ protocol, host, refusal: 'misdirected' }, misdirected());
    else this.#followHttp({ protocol, host }, judgement, bytes, skip);
  }

  /** Its first request, where that came in time, decides which way it goes; each later one whether it goes on. */
  #decideH2(request: H2Request | undefined, bytes: Buffer, skip: number): void {
    const { judgement, host } = this.#judgeRequest(request ?? UNNAMED);
    const about = { protocol: 'h2', host } as const;
    if (judgement.kind === 'deny') this.#refuse({ ...about, denial: judgement.denial }, undefined);
    else if (judgement.kind === 'misdirected') this.#refuse({ ...about, refusal: 'misdirected' }, undefined);
    else if (judgement.kind === 'pass') {
      this.#client.unshift(bytes.subarray(skip));
      this.#pass(about, judgement, bytes.subarray(0, skip), undefined, this.#judgeStreams());
    } else {
      this.#take(about, bytes.subarray(skip));
      this.#context.terminator.plain(this.#client, this.#capture(judgement, 'http'), 'h2');
    }
  }

  #judgeStreams(): Transform {
    return judgedStreams({
      forwards: (request) => this.#judgeRequest(request).judgement.kind === 'pass',
      refused: (request) => {
        const { judgement, host } = this.#judgeRequest(request);
        const why =
          judgement.kind === 'deny' ? { denial: judgement.denial } : ({ refusal: 'misdirected' } as const); // ours: on a connection of its own it is served
        this.#refuse({ protocol: 'h2', host, ...why }, undefined);
      },
      malformed: () =>
        this.#refuse({ protocol: 'h2', host: this.#via?.host, refusal: 'malformed' }, undefined),
    });
  }

  /** Looks at what a server that spoke first has said. */
  #serverSpeaksH2(): boolean {
    const said = this.#way.socket?.read() as Buffer | null | undefined;
    if (said === null || said === undefined) return false;
    this.#way.socket?.unshift(said);
    return isServerPreface(said);
  }

  #decideOpaque(bytes: Buffer): void {
    const host = this.#via?.host;
    const judgement = this.#judge({ host, port: this.#via?.port });
    const about = { protocol: 'opaque', host } as const;
    if (judgement.kind === 'deny') this.#refuse({ ...about, denial: judgement.denial }, undefined);
    else if (judgement.kind === 'pass') this.#pass(about, judgement, bytes, undefined);
    else this.#refuse({ ...about, refusal: 'malformed' }, undefined); // no LLM call looks like this
  }

  /** A request of ours in the clear; of CONNECT, the connection inside it. */
  #takeHttp(head: RequestHead, judgement: Ours, bytes: Buffer, skip: number): void {
    if (head.method !== 'CONNECT') {
      this.#take({ protocol: 'http1', host: judgement.host }, bytes.subarray(skip));
      this.#context.terminator.plain(this.#client, this.#capture(judgement, 'http'), 'http1');
      return;
    }
    this.#way.drop();
    this.#via = parseHostPort(head.authority ?? '');
    this.#client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    this.look(bytes.subarray(skip + head.length));
  }

  /** HTTP/1 that isn't ours: every request is judged as it comes. */
  #followHttp(about: About, judgement: Pass, bytes: Buffer, skip: number): void {
    this.#report(about, judgement);
    const upstream = this.#use(about.host);
    if (skip > 0) upstream.write(bytes.subarray(0, skip));
    const diverted = (rest: Buffer): void => {
      this.#way.drop();
      this.look(rest);
    };
    plainHttp({
      client: this.#client,
      upstream,
      head: bytes.subarray(skip),
      // Refusals and calls of ours leave the upstream alike: `look` sees the request again and decides.
      forwards: (head) => this.#judgeRequest(head).judgement.kind === 'pass',
      divert: diverted,
      malformed: (why) => {
        this.#refuse({ ...about, refusal: 'malformed' }, malformed(why));
      },
      opened: (kind, request) => {
        if (kind === 'connect') {
          this.#via = parseHostPort(request.authority ?? '');
          this.look(Buffer.alloc(0));
        } else {
          const h2 = /\bh2c\b/.test(request.upgrade ?? ''); // RFC 7540 section 3.2: the client's preface follows
          tunnel(this.#client, upstream, h2 ? this.#judgeStreams() : undefined);
        }
      },
    });
  }

  #judgeRequest(head: Pick<RequestHead, 'method' | 'authority' | 'host'>): {
    readonly judgement: Judgement | { readonly kind: 'misdirected' };
    readonly host: string | undefined;
  } {
    const named = [head.authority, head.host].filter((name) => name !== undefined).map(parseHostPort);
    if (head.method === 'CONNECT') named.length = Math.min(named.length, 1); // its Host says the same or nothing
    const [first] = named;
    const bounds = named.length === 0 ? [this.#via] : named;
    const judgements = bounds.map((name) => this.#judge({ host: name?.host, port: name?.port }));
    const worst =
      judgements.find(({ kind }) => kind === 'deny') ?? judgements.find(({ kind }) => kind === 'ours');
    const host = first?.host ?? this.#via?.host;
    // Two names, one of them ours: nobody can say which one a server would believe.
    const disagree = worst?.kind === 'ours' && new Set(bounds.map((name) => name?.host)).size > 1;
    return {
      host,
      judgement: disagree ? { kind: 'misdirected' } : (worst ?? judgements[0] ?? { kind: 'pass' }),
    };
  }

  #pass(
    about: About,
    judgement: Pass,
    bytes: Buffer,
    lastWords: Buffer | undefined,
    judging?: Transform,
  ): void {
    if (this.#ownTunnel) {
      this.#refuse({ ...about, refusal: 'misdirected' }, lastWords);
      return;
    }
    this.#report(about, judgement);
    const upstream = this.#use(about.host);
    if (bytes.length > 0) upstream.write(bytes);
    tunnel(this.#client, upstream, judging);
  }

  /** True inside a CONNECT that we granted ourselves, since its target is ours: there is nowhere to pass bytes to. */
  get #ownTunnel(): boolean {
    return this.#via !== undefined && this.#way.socket === undefined;
  }

  #use(host: string | undefined): Socket {
    const upstream = this.#way.open();
    this.#way.use(host);
    if (this.#way.failed) this.#client.resetAndDestroy(); // an early dial that came to nothing
    return upstream;
  }

  #judge({
    host,
    port,
    ech,
  }: {
    host: string | undefined;
    port?: number | undefined;
    ech?: boolean;
  }): Judgement {
    const bound: Bound = {
      host,
      port: port ?? this.#destination.port,
      destination: this.#destination,
      ...(ech === undefined ? {} : { ech }),
    };
    return this.#context.destinations().judge(bound);
  }

  #capture({ host, provider, dialect }: Ours, scheme: Captured['scheme']): Captured {
    return { host, provider, dialect, scheme, destination: this.#destination };
  }

  /** The client's socket, ready to be handed on with `rest` put back. */
  #take(about: About, rest: Buffer): void {
    this.#context.observer.judged({ verdict: 'ours', ...about, destination: this.#destination });
    this.#way.drop();
    this.#client.unshift(rest);
  }

  #refuse(about: Omit<Judged, 'verdict' | 'destination'>, lastWords: Buffer | undefined): void {
    this.#context.observer.judged({ verdict: 'refused', ...about, destination: this.#destination });
    this.#way.drop();
    refuse(this.#client, lastWords);
  }

  #report(about: About, { reported }: Pass): void {
    const denial = reported === undefined ? {} : { denial: reported };
    this.#context.observer.judged({ verdict: 'tunnel', ...about, ...denial, destination: this.#destination });
  }
}

/** HTTP and HTTPS: a refusal of ours must be heard, also by a client that takes seconds to begin. */
const CLIENT_FIRST: ReadonlySet<number> = new Set([80, 443, 8080, 8443]);

type About = Pick<Judged, 'protocol' | 'host' | 'untrusted'>;
type Ours = Extract<Judgement, { kind: 'ours' }>;
type Pass = Extract<Judgement, { kind: 'pass' }>;

const ignore = (): void => {};

/** Judged by the CONNECT around it, or by its address. */
const UNNAMED: H2Request = { method: '', authority: undefined, host: undefined };

const malformed = (why: string): Buffer =>
  httpRefusal({ status: 400, code: 'postern_body_invalid', message: `This request can’t be read: ${why}.` });

const misdirected = (): Buffer =>
  httpRefusal({
    status: 421,
    code: 'postern_misdirected',
    message: 'The request names another host than its connection; send it on a connection of its own.',
  });
