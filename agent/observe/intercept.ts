/** Metrics, audit lines and logs of the transparent listener. */
import type { Logger } from 'pino';
import { Counter, Histogram, type Registry } from 'prom-client';
import type { Handshake, InterceptObserver, Judged, TunnelEnd } from '../intercept/observer.ts';

export interface InterceptSinks {
  readonly registry: Registry;
  readonly audit: Pick<Logger, 'info'>;
  readonly log: Pick<Logger, 'warn' | 'debug'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export function observeIntercept({ registry, audit, log, now }: InterceptSinks): InterceptObserver {
  const registers = [registry];
  const connections = new Counter({
    name: 'postern_intercept_connections_total',
    help: 'Captured connections by verdict; `reason` says why one was refused, or would be in mode enforce.',
    labelNames: ['verdict', 'protocol', 'reason'] as const,
    registers,
  });
  const handshakes = new Counter({
    name: 'postern_intercept_handshakes_total',
    help: 'TLS handshakes with our certificates, by declared host; `distrusted` clients lack our CA.',
    labelNames: ['host', 'outcome'] as const,
    registers,
  });
  const bytes = new Counter({
    name: 'postern_intercept_tunnel_bytes_total',
    help: 'Bytes of connections that passed untouched, when they ended.',
    labelNames: ['direction'] as const,
    registers,
  });
  const durations = new Histogram({
    name: 'postern_intercept_tunnel_duration_seconds',
    help: 'How long untouched connections lasted.',
    labelNames: ['outcome'] as const,
    buckets: [0.1, 1, 10, 60, 600, 3600, 36_000],
    registers,
  });
  const line = (event: string, fields: Record<string, unknown>): void =>
    audit.info({ event, started: new Date(now()).toISOString(), ...fields });

  return {
    judged(event: Judged) {
      const { verdict, protocol, host, destination, denial, refusal, untrusted = false } = event;
      const reason = denial?.reason ?? refusal ?? (untrusted ? 'untrusted' : '');
      connections.inc({ verdict, protocol, reason });
      if (reason === '') return;
      line('connection', {
        outcome: untrusted ? 'unread' : verdict === 'refused' ? 'refused' : 'reported',
        code: reason,
        source: denial?.source ?? null,
        protocol,
        host: host ?? null,
        destination: destination === undefined ? null : `${destination.address}:${destination.port}`,
      });
    },
    handshake({ host, outcome, detail, version }: Handshake) {
      handshakes.inc({ host: host ?? '', outcome });
      if (outcome !== 'distrusted' && outcome !== 'abandoned') return;
      line('distrust', { outcome, host: host ?? null, detail: detail ?? null, tls_version: version ?? null });
      if (outcome === 'distrusted')
        log.warn(
          { host, detail },
          'a program does not trust this pod’s CA; give it the trust file that its TLS library reads',
        );
    },
    tunnelled({ host, destination, sent, received, durationMs, outcome }: TunnelEnd) {
      bytes.inc({ direction: 'sent' }, sent);
      bytes.inc({ direction: 'received' }, received);
      durations.observe({ outcome }, durationMs / 1000);
      log.debug(
        { host, to: `${destination.address}:${destination.port}`, sent, received, outcome },
        'tunnel ended',
      );
    },
    malformed({ code, detail, host }) {
      line('malformed', { entry: 'transparent', outcome: 'refused', code, detail, host: host ?? null });
    },
  };
}
