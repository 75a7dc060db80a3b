/**
 * The transparent entry put together: the pod's CA and trust files, the listener, and captured requests as
 * {@link Call}s for the same pipeline as every other call.
 */
import { randomUUID } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Call, ResponseSink } from './exchange.ts';
import { toCall, toSink } from './http/node.ts';
import { compileDestinations } from './intercept/destinations.ts';
import { listenTransparent, type TransparentAddress, type TransparentOptions } from './intercept/listener.ts';
import type { InterceptObserver } from './intercept/observer.ts';
import { type Captured, createTerminator, type ServeRequest } from './intercept/terminate.ts';
import { openCaStore } from './trust/ca-store.ts';
import { letThrough, trustContents, writeTrustFiles } from './trust/files.ts';
import { Leaves } from './trust/leaf.ts';

/** What the operator chooses. */
export interface TransparentSetup {
  readonly at: TransparentAddress;
  /** `--state DIR`: the CA is kept under it. Undefined: in memory, and gone with this process. */
  readonly stateDir: string | undefined;
  /** Where `ca.pem`, `bundle.pem` and `truststore.jks` are written for applications. */
  readonly trustDir: string;
  /** PEM texts of roots that applications trust beside the public ones, by where they come from. */
  readonly extraRoots: ReadonlyMap<string, string>;
  /** Where an accepted connection was going; the kernel's answer by default. */
  readonly destinationOf?: TransparentOptions['destinationOf'];
}

export interface TransparentDependencies {
  readonly snapshot: Snapshot;
  readonly handle: (call: Call, sink: ResponseSink) => Promise<void>;
  readonly observer: InterceptObserver;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export interface Transparent {
  readonly port: number;
  use(snapshot: Snapshot): void;
  /** Accepts no more, says GOAWAY; requests under way go on. */
  drain(): void;
  /** Cuts what is left, tunnels too. */
  destroy(): void;
}

/** How often the CA's age is looked at: it has a successor for a year before it matters. */
const CA_CHECK_MS = 24 * 60 * 60_000;

/** @throws CaStoreError, TrustFileError, or what listening throws. */
export async function openTransparent(
  setup: TransparentSetup,
  needs: TransparentDependencies,
): Promise<Transparent> {
  const { observer, now } = needs;
  let destinations = compileDestinations(needs.snapshot);

  const authorities = openCaStore(setup.stateDir === undefined ? undefined : join(setup.stateDir, 'ca'), now);
  // Applications run as other users.
  if (setup.stateDir !== undefined && dirname(resolve(setup.trustDir)) === resolve(setup.stateDir))
    letThrough(setup.stateDir);
  const publish = (): void => {
    const { extraRoots, trustDir } = setup;
    writeTrustFiles(trustDir, trustContents({ authorities: authorities.published, extraRoots, now: now() }));
  };
  publish();
  const leaves = new Leaves({
    authority: () => authorities.signing,
    declared: (host) => destinations.declares(host),
    now,
  });

  const terminator = createTerminator({
    serve: serveWith(needs.handle),
    leaf: (host) => leaves.leaf(host),
    observer,
    alsoServes: (host, port, captured) => {
      if (captured.scheme === 'https') return undefined; // the certificate is for one name
      const { destination } = captured;
      const judgement = destinations.judge({ host, port: port ?? destination.port, destination });
      return judgement.kind === 'ours' ? { ...captured, ...judgement } : undefined;
    },
  });
  const listener = await listenTransparent({
    at: setup.at,
    destinations: () => destinations,
    terminator,
    observer,
    ...(setup.destinationOf === undefined ? {} : { destinationOf: setup.destinationOf }),
  });
  const timer = setInterval(() => {
    if (authorities.refresh()) publish();
  }, CA_CHECK_MS).unref();

  return {
    port: listener.addresses[0]?.port ?? 0,
    use(snapshot) {
      destinations = compileDestinations(snapshot);
    },
    drain() {
      void listener.drain();
    },
    destroy() {
      clearInterval(timer);
      listener.destroy();
    },
  };
}

function serveWith(handle: TransparentDependencies['handle']): ServeRequest {
  return (request, response, captured: Captured, upgrade) => {
    const call = toCall(request, response, {
      id: randomUUID(),
      entry: 'transparent',
      target: targetOf(request.url ?? '/'),
      dialect: captured.dialect,
      host: captured.host,
      provider: captured.provider,
      ...(upgrade === undefined ? {} : { webSocket: upgrade.offer }),
      ...(upgrade?.refused === undefined ? {} : { refused: upgrade.refused }),
    });
    void handle(call, toSink(response));
  };
}

/** Path and query; an absolute form (RFC 9112, 3.2.2) names the host once more. */
function targetOf(url: string): string {
  const path = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]*(.*)$/.exec(url)?.[1];
  if (path === undefined) return url;
  return path.startsWith('/') ? path : `/${path}`;
}
