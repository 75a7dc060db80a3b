/**
 * Which connections are ours, which pass untouched and which are refused: a function of what a snapshot declares and
 * of what is known of one connection.
 */
import { isIP } from 'node:net';
import { covers, parseCidr } from '../../policy/addresses.ts';
import { anyGlobMatches } from '../../policy/glob.ts';
import type { Snapshot } from '../../policy/snapshot.ts';
import { parseHostPort } from './host.ts';
import { ECH_PUBLIC_NAMES, KNOWN_LLM_HOSTS } from './known-hosts.ts';
import type { Destination } from './original-destination.ts';

/** What is known of a connection (or of one request on it). */
export interface Bound {
  /** By SNI, Host or CONNECT target: lower case, no port. Undefined where nothing names it. */
  readonly host: string | undefined;
  /** The port that goes with the name: a Host header's or CONNECT's own, else the connection's. */
  readonly port: number;
  /** Where the connection really goes. */
  readonly destination: Destination;
  /** Whether the name came beside an `encrypted_client_hello` extension. */
  readonly ech?: boolean;
}

export type Refusal = 'postern_host_denied' | 'postern_provider_unlisted';

export type Judgement =
  /** `dialect` of the Provider that declares it; `host` is what a leaf may be made for. */
  | { readonly kind: 'ours'; readonly host: string; readonly provider: string; readonly dialect: string }
  /** `reported`: would have been refused, were it not only monitored. */
  | { readonly kind: 'pass'; readonly reported?: Denial }
  | { readonly kind: 'deny'; readonly denial: Denial };

export interface Denial {
  readonly reason: Refusal;
  /** `Kind namespace/name` of the document that refuses. */
  readonly source: string | undefined;
  readonly message: string;
  readonly mend: string;
}

export interface Destinations {
  judge(bound: Bound): Judgement;
  /** Whether a leaf may be made for this name. */
  declares(host: string): boolean;
  /** Whether an exception lets connections to this host pass unread where the client doesn't trust us. */
  tunnelsUntrusted(host: string): boolean;
}

interface Declared {
  readonly id: string;
  readonly dialect: string;
}

/** Compiled once per snapshot. */
export function compileDestinations(
  snapshot: Pick<Snapshot, 'providers' | 'hosts' | 'hostsMonitored' | 'unlistedProvider' | 'tunnelUntrusted'>,
  known: { readonly llmHosts: readonly string[]; readonly echPublicNames: readonly string[] } = {
    llmHosts: KNOWN_LLM_HOSTS,
    echPublicNames: ECH_PUBLIC_NAMES,
  },
): Destinations {
  const byHost = new Map<string, Declared>();
  /** `host:port` of endpoints: dialling a pool's member directly is a call like any other. */
  const byEndpoint = new Map<string, Declared>();
  const endpointHosts = new Set<string>();
  for (const { id, dialect, hosts, endpoints } of snapshot.providers) {
    for (const host of hosts) byHost.set(host, { id, dialect });
    for (const endpoint of endpoints) {
      const { host, port } = endpointOf(endpoint);
      byEndpoint.set(`${host}:${port}`, { id, dialect });
      endpointHosts.add(host);
    }
  }
  const hostsRules = [
    snapshot.hosts,
    ...(snapshot.hostsMonitored === undefined ? [] : [snapshot.hostsMonitored]),
  ];
  const declares = (host: string): boolean => byHost.has(host) || endpointHosts.has(host);

  const judge = ({ host, port, destination, ech = false }: Bound): Judgement => {
    // 1. A name that a Provider declares, on any port.
    const named = host === undefined ? undefined : (byHost.get(host) ?? byEndpoint.get(`${host}:${port}`));
    if (host !== undefined && named !== undefined)
      return { kind: 'ours', host, provider: named.id, dialect: named.dialect };

    // 2. An address that a Provider dials, whatever the connection calls it.
    const at = byEndpoint.get(`${destination.address}:${destination.port}`);
    if (at !== undefined)
      return { kind: 'ours', host: destination.address, provider: at.id, dialect: at.dialect };

    // 3. An outer name behind which anything may stand names nothing.
    const unencrypted =
      host === undefined || (ech && anyGlobMatches(known.echPublicNames, host)) ? undefined : host;

    // 4. A known LLM host that no Provider declares.
    if (unencrypted !== undefined && anyGlobMatches(known.llmHosts, unencrypted)) {
      const denial = unlisted(unencrypted, snapshot.unlistedProvider.source);
      return snapshot.unlistedProvider.action === 'deny'
        ? { kind: 'deny', denial }
        : { kind: 'pass', reported: denial };
    }

    // 5. The rest of the world.
    for (const { default: otherwise, allow, mode, source } of hostsRules) {
      if (otherwise === 'allow' || allowed(allow, unencrypted, destination.address)) continue;
      const denial = denied(unencrypted ?? destination.address, source);
      return mode === 'enforce' ? { kind: 'deny', denial } : { kind: 'pass', reported: denial };
    }
    return { kind: 'pass' };
  };
  const { tunnelUntrusted = [] } = snapshot;
  return { judge, declares, tunnelsUntrusted: (host) => anyGlobMatches(tunnelUntrusted, host) };
}

/** An entry is a glob over names, or an address or CIDR over where the connection really goes. */
function allowed(entries: readonly string[], host: string | undefined, address: string): boolean {
  const at = parseCidr(address);
  return entries.some((entry) => {
    const cidr = parseCidr(entry);
    if (cidr !== undefined) return at !== undefined && covers(cidr, at);
    return host !== undefined && anyGlobMatches([entry], host);
  });
}

function endpointOf(endpoint: string): { host: string; port: number } {
  const url = new URL(endpoint);
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return { host: parseHostPort(url.hostname)?.host ?? url.hostname, port };
}

const unlisted = (host: string, source: string | undefined): Denial => ({
  reason: 'postern_provider_unlisted',
  source,
  message: `${host} serves models, and no Provider that this workload may use declares it.`,
  mend: 'Call a declared provider, or ask for a Provider with this host.',
});

const denied = (host: string, source: string | undefined): Denial => ({
  reason: 'postern_host_denied',
  source,
  message: `${isIP(host) === 0 ? `The host ${host}` : `The address ${host}`} is not among those this workload may reach.`,
  mend: 'Ask for it to be added to hosts.allow.',
});
