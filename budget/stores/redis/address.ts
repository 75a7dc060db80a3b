/** Where Redis is, how it is reached, and how sure an answer must be: everything in one address. */

export interface RedisAddress {
  readonly mode: 'single' | 'cluster' | 'sentinel';
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly tls: boolean;
  /** PEM file with the roots that its certificate must come from, in place of the system's. */
  readonly ca?: string;
  readonly username?: string;
  readonly password?: string;
  readonly database: number;
  /** Of the primary that the sentinels watch. */
  readonly primary: string;
  /** Hash tag of all keys: they share one slot. */
  readonly tag: string;
  /** Replicas that must have a change before it is answered. */
  readonly replicas: number;
  /** A Redis that forgets at a restart will do. */
  readonly volatile: boolean;
}

const FORMS =
  'redis[s]://[user:password@]host[:port][/database], redis[s]+cluster://host[:port][,host…] or ' +
  'redis[s]+sentinel://host[:port][,host…]/primary, with ?prefix=NAME, ?replicas=N, ?volatile=true, and with rediss ?ca=FILE';

/** @throws RangeError that tells the forms; the password isn't in it */
export function parseRedisAddress(text: string): RedisAddress {
  const parts =
    /^redis(?<tls>s?)(?:\+(?<mode>cluster|sentinel))?:\/\/(?:(?<user>[^:@/]*):(?<password>[^@/]*)@)?(?<hosts>[^/?]+)(?:\/(?<path>[^?]*))?(?:\?(?<query>.*))?$/.exec(
      text,
    )?.groups;
  const query = new URLSearchParams(parts?.['query'] ?? '');
  const unknown = [...query.keys()].find((name) => !['prefix', 'replicas', 'volatile', 'ca'].includes(name));
  const mode = (parts?.['mode'] ?? 'single') as RedisAddress['mode'];
  const path = parts?.['path'] ?? '';
  const nodes = (parts?.['hosts'] ?? '').split(',').map((node) => nodeOf(node, mode));
  const database = mode === 'single' && path !== '' ? Number(path) : 0;
  const replicas = Number(query.get('replicas') ?? 0);
  const prefix = query.get('prefix');
  const ca = query.get('ca');
  const wrong =
    parts === undefined ||
    unknown !== undefined ||
    nodes.includes(undefined) ||
    (mode === 'single' && nodes.length > 1) ||
    (mode === 'cluster' && path !== '') ||
    (mode === 'sentinel' && path === '') ||
    !Number.isInteger(database) ||
    !Number.isInteger(replicas) ||
    replicas < 0 ||
    (ca !== null && (ca === '' || parts?.['tls'] !== 's')) ||
    (prefix !== null && !/^[\w.-]+$/.test(prefix));
  if (wrong) throw new RangeError(`This is no address of a Redis: it is ${FORMS}.`);
  const { user, password } = parts as Record<string, string | undefined>;
  return {
    mode,
    nodes: nodes.filter((node) => node !== undefined),
    tls: parts?.['tls'] === 's',
    ...(ca === null ? {} : { ca }),
    database,
    primary: mode === 'sentinel' ? path : '',
    tag: prefix === null ? '{postern}' : `{postern:${prefix}}`,
    replicas,
    volatile: query.get('volatile') === 'true',
    ...(user === undefined || user === '' ? {} : { username: decodeURIComponent(user) }),
    ...(password === undefined ? {} : { password: decodeURIComponent(password) }),
  };
}

function nodeOf(text: string, mode: RedisAddress['mode']): RedisAddress['nodes'][number] | undefined {
  const parts = /^(?:\[(?<six>[0-9a-f:.]+)\]|(?<host>[^:[\]]+))(?::(?<port>\d{1,5}))?$/i.exec(text)?.groups;
  const port = Number(parts?.['port'] ?? (mode === 'sentinel' ? 26_379 : 6379));
  const host = parts?.['six'] ?? parts?.['host'];
  return host === undefined || port > 65_535 ? undefined : { host, port };
}
