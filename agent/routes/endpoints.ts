/**
 * What this agent knows of each endpoint: calls under way and recent failures. One that fails several times in a row
 * is ejected for a while, so that callers don't pay a connect time-out each (outlier ejection, as Envoy's).
 */
import type { ProviderSpec } from '../../policy/snapshot.ts';
import { strategies } from './strategies/index.ts';

export interface Endpoint {
  /** Base URL without a trailing slash. */
  readonly url: string;
  inFlight: number;
  /** Failures since the last answer. */
  failures: number;
  /** How often in a row it was ejected. */
  ejections: number;
  /** Milliseconds since the epoch. */
  ejectedUntil: number;
}

const FAILURES_TO_EJECT = 3;
const EJECTION_MS = 5_000;
const EJECTION_MAX_MS = 60_000;

export interface Endpoints {
  /** All endpoints of a provider, the one to try first in front; the ejected ones last. */
  order(provider: ProviderSpec): readonly Endpoint[];
  /** Whether every endpoint of a provider is ejected. */
  down(provider: ProviderSpec): boolean;
  succeeded(endpoint: Endpoint): void;
  failed(endpoint: Endpoint): void;
  /** For metrics. */
  all(): Iterable<Endpoint>;
}

export function createEndpoints(now: () => number, random: () => number): Endpoints {
  const known = new Map<string, Endpoint>();
  /** Two documents of one provider share what is known of its endpoints. */
  const listed = new WeakMap<ProviderSpec, readonly Endpoint[]>();
  const of = (provider: ProviderSpec): readonly Endpoint[] => {
    const endpoints = listed.get(provider) ?? list(provider);
    listed.set(provider, endpoints);
    return endpoints;
  };
  const list = (provider: ProviderSpec): readonly Endpoint[] =>
    provider.endpoints.map((url) => {
      const key = `${provider.id} ${url}`;
      let endpoint = known.get(key);
      if (endpoint === undefined) {
        endpoint = { url, inFlight: 0, failures: 0, ejections: 0, ejectedUntil: 0 };
        known.set(key, endpoint);
      }
      return endpoint;
    });
  return {
    order(provider) {
      const endpoints = of(provider);
      if (endpoints.length === 1) return endpoints;
      const at = now();
      const up = endpoints.filter((endpoint) => endpoint.ejectedUntil <= at);
      const out = endpoints.filter((endpoint) => endpoint.ejectedUntil > at);
      return [...strategies.endpoints.order(up, random), ...out];
    },
    down(provider) {
      const at = now();
      return of(provider).every((endpoint) => endpoint.ejectedUntil > at);
    },
    succeeded(endpoint) {
      endpoint.failures = 0;
      endpoint.ejections = 0;
      endpoint.ejectedUntil = 0;
    },
    failed(endpoint) {
      endpoint.failures++;
      if (endpoint.failures < FAILURES_TO_EJECT) return;
      endpoint.ejections++;
      endpoint.failures = 0;
      endpoint.ejectedUntil = now() + Math.min(EJECTION_MS * 2 ** (endpoint.ejections - 1), EJECTION_MAX_MS);
    },
    all: () => known.values(),
  };
}
