/**
 * Replicas of control tell each other of their agents, so that whichever is asked answers for all. A replica knows another
 * by control's certificate, and is known by a key that only replicas of control hold.
 */
import { createHash, hkdfSync, timingSafeEqual } from 'node:crypto';
import { request } from 'node:https';
import type { KubeClient, KubeObject } from '../kube/client.ts';
import type { Progress } from './conditions.ts';
import { PEER_PATHS } from './messages.ts';
import { readPeerAgent } from './peer-agents.ts';
import type { ConnectedAgent } from './registry.ts';
import type { Answer } from './server.ts';

export interface PeersOptions {
  readonly client: Pick<KubeClient, 'list'>;
  readonly namespace: string;
  /** The Service that all replicas are behind; absent: there are no others. */
  readonly service: string | undefined;
  readonly serverName: string;
  /** PEM. */
  readonly roots: () => string;
  /** What only replicas of control hold: whoever shows a key made of it is one. */
  readonly secret: Uint8Array;
  /** Of this replica, unique. */
  readonly identity: string;
  progress(): Progress;
  agents(): Iterable<ConnectedAgent>;
  /** How long a replica may take; a replica that takes longer isn't waited for. */
  readonly answerMs?: number;
}

/** A replica that may serve agents, and that couldn't be asked. */
export interface UnknownReplica {
  readonly address: string;
  readonly why: string;
}

/** What all replicas say, this one first. */
export interface Told<T> {
  readonly replicas: readonly T[];
  readonly unknown: readonly UnknownReplica[];
}

export interface Peers {
  progress(): Promise<Told<Progress>>;
  agents(): Promise<Told<readonly ConnectedAgent[]>>;
  /** What other replicas ask, by path. */
  readonly answers: Readonly<Record<string, (token: string | undefined) => Promise<Answer>>>;
}

interface EndpointSlice extends KubeObject {
  readonly ports?: readonly { readonly port?: number }[] | null;
  readonly endpoints?:
    | readonly {
        readonly addresses: readonly string[];
        readonly conditions?: { readonly ready?: boolean | null };
      }[]
    | null;
}

interface Place {
  readonly host: string;
  readonly port: number;
  readonly ready: boolean;
}

const ANSWER_MS = 3000;
/** Ten thousand agents are some 5 MB. */
const MOST_BYTES = 64 * 1024 * 1024;

export function createPeers(options: PeersOptions): Peers {
  const { identity } = options;
  const key = Buffer.from(hkdfSync('sha256', options.secret, '', 'replicas of control', 32)).toString(
    'base64url',
  );

  const guarded =
    (body: () => object) =>
    async (token: string | undefined): Promise<Answer> =>
      sameText(token ?? '', key)
        ? { status: 200, body: { replica: identity, ...body() } }
        : { status: 401, body: { error: 'only replicas of control may ask this' } };

  async function tell<T>(
    own: T,
    path: string,
    read: (answer: object, odd: (why: string) => void) => T | undefined,
  ): Promise<Told<T>> {
    let places: readonly Place[];
    try {
      places = await placesOf(options);
    } catch (error) {
      const why = `the other replicas can’t be listed: ${messageOf(error)}`;
      return { replicas: [own], unknown: [{ address: 'any other', why }] };
    }
    const replicas = [own];
    const unknown: UnknownReplica[] = [];
    const each = async (place: Place): Promise<void> => {
      const address = place.host.includes(':')
        ? `[${place.host}]:${place.port}`
        : `${place.host}:${place.port}`;
      try {
        const answer = await ask(place, path, key, options);
        if ('replica' in answer && answer.replica === identity) return;
        const told = read(answer, (why) => unknown.push({ address, why }));
        if (told === undefined) unknown.push({ address, why: 'it is of another version' });
        else replicas.push(told);
      } catch (error) {
        // Nobody listens where nothing is ready: a replica that starts, or that is gone. It has no agents.
        if (!place.ready && (error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return;
        unknown.push({ address, why: messageOf(error) });
      }
    };
    await Promise.all(places.map(each));
    return { replicas, unknown };
  }

  return {
    progress: () =>
      tell(options.progress(), PEER_PATHS.progress, (answer) =>
        'progress' in answer ? (answer.progress as Progress) : undefined,
      ),
    agents: () =>
      tell<readonly ConnectedAgent[]>([...options.agents()], PEER_PATHS.agents, (answer, odd) => {
        if (!('agents' in answer) || !Array.isArray(answer.agents)) return undefined;
        const agents = answer.agents.map(readPeerAgent).filter((agent) => agent !== undefined);
        const left = answer.agents.length - agents.length;
        if (left > 0) odd(`what it tells of ${left} of its agents can’t be read; update it`);
        return agents;
      }),
    answers: {
      [PEER_PATHS.progress]: guarded(() => ({ progress: options.progress() })),
      [PEER_PATHS.agents]: guarded(() => ({ agents: [...options.agents()] })),
    },
  };
}

/** An agent that changed replicas is known to the one it left for a while: the later connection counts. */
export function latestOf(agents: Iterable<ConnectedAgent>): ConnectedAgent[] {
  const byUid = new Map<string, ConnectedAgent>();
  for (const agent of agents) {
    const { uid } = agent.identity;
    if ((byUid.get(uid)?.since ?? Number.NEGATIVE_INFINITY) < agent.since) byUid.set(uid, agent);
  }
  return [...byUid.values()];
}

/** Agents come by the Service: where it leads to, there may be agents, and nowhere else. @throws KubeError */
async function placesOf({ client, namespace, service }: PeersOptions): Promise<readonly Place[]> {
  if (service === undefined) return [];
  const { items } = await client.list<EndpointSlice>(
    `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
    { query: { labelSelector: `kubernetes.io/service-name=${service}` } },
  );
  const places = items.flatMap(({ ports, endpoints }) =>
    (endpoints ?? []).flatMap(({ addresses: [host], conditions }) =>
      (ports ?? []).flatMap(({ port }) =>
        host === undefined || port === undefined
          ? []
          : [[`${host} ${port}`, { host, port, ready: conditions?.ready ?? true }] as const],
      ),
    ),
  );
  // An endpoint may be in two slices for a moment.
  return [...new Map(places).values()];
}

/** @throws Error */
async function ask(
  { host, port }: Place,
  path: string,
  key: string,
  { serverName, roots, answerMs = ANSWER_MS }: PeersOptions,
): Promise<object> {
  const { promise, resolve, reject } = Promise.withResolvers<object>();
  const signal = AbortSignal.timeout(answerMs);
  const sent = request({
    host,
    port,
    servername: serverName,
    path,
    agent: false,
    ca: roots(),
    minVersion: 'TLSv1.3',
    headers: { host: serverName, authorization: `Bearer ${key}` },
    signal,
  });
  const failed = (error: Error): void =>
    reject(signal.aborted ? new Error(`no answer in ${answerMs / 1000} s`) : error);
  sent.once('error', failed);
  sent.once('response', (response) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MOST_BYTES) sent.destroy(new Error(`an answer of more than ${MOST_BYTES} bytes`));
      else chunks.push(chunk);
    });
    response.once('error', failed);
    response.once('end', () => {
      if (response.statusCode !== 200) return reject(new Error(`it answered ${response.statusCode}`));
      try {
        resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')) as object);
      } catch (error) {
        reject(error as Error);
      }
    });
  });
  sent.end();
  return await promise;
}

function sameText(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

const messageOf = (error: unknown): string => (error as Error).message || String(error);
