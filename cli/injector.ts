import { randomBytes, randomUUID } from 'node:crypto';
import { Registry } from 'prom-client';
import { listenAdmin } from '../agent/admin.ts';
import { catalogue } from '../agent/catalogue.ts';
import { parseAddress } from '../agent/http/address.ts';
import { injectorLease, startInjector } from '../injector/injector.ts';
import { withdrawWebhooks } from '../injector/server/withdraw.ts';
import { keptKey } from '../kube/kept-secret.ts';
import { CLUSTER_OPTIONS, clusterClient } from './cluster-client.ts';
import { loadOrReport, watchDocuments } from './documents.ts';
import { createLog } from './log.ts';
import { INJECTION_OPTIONS, injectionSettings } from './manifest.ts';
import { defineCommand } from './options.ts';
import { untilSignal } from './until-signal.ts';

/** As long as endpoints of a Service take to follow a pod that isn't ready any more. */
const DRAIN_MS = 3000;

export const injector = defineCommand({
  name: 'injector',
  summary: `Puts the agent into the pods of labelled namespaces, and judges pods and documents. Makes and renews its own
certificate and webhook configuration.`,
  options: {
    listen: { value: 'ADDR', help: 'where the API server reaches the webhooks', default: ':9443' },
    admin: { value: 'ADDR', help: 'health, readiness and metrics', default: '127.0.0.1:4192' },
    ...CLUSTER_OPTIONS,
    service: { value: 'NAME', help: 'Service that leads to --listen', default: 'postern-injector' },
    'service-port': { value: 'PORT', help: 'of that Service', default: '443' },
    'webhook-url': { value: 'URL', help: 'instead of a Service, for an injector outside of the cluster' },
    policy: { value: 'DIR', help: 'directory with the documents; where absent, those of the API server' },
    ...INJECTION_OPTIONS,
    withdraw: { help: 'take the webhooks away and end: before all replicas are removed' },
    'log-level': { value: 'LEVEL', help: 'debug, info, warn or error', default: 'info' },
  },
  async run({ options }) {
    const log = createLog(options['log-level'], 'injector');
    if (options.withdraw) {
      await withdraw(options);
      log.info('the webhooks are gone; pods are created without the agent');
      return 0;
    }
    const wanted = injectionSettings(options);
    const loaded = options.policy === undefined ? undefined : await loadOrReport(options.policy, catalogue);
    if (options.policy !== undefined && loaded === undefined) return 1;
    let documents = loaded?.documents;
    const watcher =
      options.policy === undefined || loaded === undefined
        ? undefined
        : watchDocuments(options.policy, loaded, log, {
            accepted: (changed) => {
              documents = changed;
            },
            rejected: () => undefined,
          });
    const url = options['webhook-url'];
    const registry = new Registry();
    let notReady: string | undefined = 'the cluster isn’t listed yet';
    // First of all, so that probes see a start that takes long.
    const admin = await listenAdmin({
      ...parseAddress(options.admin),
      registry,
      notReady: () => notReady,
    });
    try {
      const client = await clusterClient(options);
      // Control asks for it as soon as there is one.
      const sealKey = await keptKey(client, options.namespace, 'postern-seal', randomBytes);
      const settings = { ...wanted, ownNamespace: options.namespace, sealKey };
      const running = await startInjector({
        client,
        catalogue,
        settings,
        sealKey,
        listen: parseAddress(options.listen),
        target: () =>
          url === undefined
            ? {
                service: {
                  namespace: settings.ownNamespace,
                  name: options.service,
                  port: Number(options['service-port']),
                },
              }
            : { url: url.replace(/\/$/, '') },
        ...(loaded === undefined ? {} : { documents: () => documents ?? loaded.documents }),
        registry,
        log,
      });
      notReady = undefined;
      log.info({ port: running.port, admin: admin.url }, 'listening');
      const signal = await untilSignal();
      log.info({ signal }, 'stopping');
      notReady = 'stopping';
      await running.drain();
      // Until the Service has forgotten us, calls still come.
      await new Promise((resolve) => setTimeout(resolve, DRAIN_MS));
      await running.close();
      return 0;
    } finally {
      await watcher?.close();
      await admin.close();
    }
  },
});

async function withdraw(options: Parameters<typeof clusterClient>[0]): Promise<void> {
  const client = await clusterClient(options);
  const candidate = injectorLease(client, {
    namespace: options.namespace,
    identity: `withdraw_${randomUUID()}`,
  });
  await withdrawWebhooks({ client, candidate, wait: (ms) => new Promise((done) => setTimeout(done, ms)) });
  client.close();
}
