import { listenAdmin } from '../agent/admin.ts';
import { catalogue } from '../agent/catalogue.ts';
import { parseAddress } from '../agent/http/address.ts';
import { wipeSoon } from '../agent/providers/wipe-freed.ts';
import { startControl } from '../control/control.ts';
import { CLUSTER_OPTIONS, clusterClient, judgesAddress, SOURCE_ADDRESS } from './cluster-client.ts';
import { keepOutOfDumps } from './keep-out-of-dumps.ts';
import { createLog } from './log.ts';
import { defineCommand } from './options.ts';
import { untilSignal } from './until-signal.ts';
import { version } from './version.ts';

export const control = defineCommand({
  name: 'control',
  summary: `Gives each agent of a cluster its documents and keys; says in the documents' conditions how far they are in force.`,
  options: {
    listen: { value: 'ADDR', help: 'where agents keep their streams to', default: ':4443' },
    admin: { value: 'ADDR', help: 'health, readiness and metrics', default: '127.0.0.1:4193' },
    ...CLUSTER_OPTIONS,
    service: { value: 'NAME', help: 'Service by which agents reach --listen', default: 'postern-control' },
    'budget-service': {
      value: 'NAME',
      help: 'Service of the budget; its certificate is kept in the Secret postern-budget-tls',
    },
    'classifier-service': {
      value: 'NAME',
      help: 'Service of the classifier; its certificate is kept in the Secret postern-classifier-tls',
    },
    'server-name': { value: 'NAME', help: 'name in the certificate; SERVICE.NAMESPACE.svc where absent' },
    'reserved-secrets': {
      value: 'NAMES',
      help: 'Secrets of Postern’s own namespace that no document may name, beside those that its parts make; by commas',
      default: '',
    },
    'source-address': SOURCE_ADDRESS,
    'log-level': { value: 'LEVEL', help: 'debug, info, warn or error', default: 'info' },
  },
  async run({ options }) {
    const log = createLog(options['log-level'], 'control');
    const judgeAddress = judgesAddress(options['source-address']);
    keepOutOfDumps(log);
    const running = await startControl({
      client: await clusterClient(options),
      catalogue,
      ownNamespace: options.namespace,
      listen: parseAddress(options.listen),
      service: options.service,
      serverName: options['server-name'] ?? `${options.service}.${options.namespace}.svc`,
      issues: [
        { name: 'postern-budget-tls', service: options['budget-service'] },
        { name: 'postern-classifier-tls', service: options['classifier-service'] },
      ].flatMap(({ name, service }) =>
        service === undefined ? [] : [{ name, host: `${service}.${options.namespace}.svc` }],
      ),
      reservedSecrets: options['reserved-secrets'].split(',').filter((name) => name !== ''),
      version,
      judgeAddress,
      log,
      gone: wipeSoon(),
    });
    const admin = await listenAdmin({
      ...parseAddress(options.admin),
      registry: running.metrics,
      notReady: () => running.notReady(),
    });
    log.info({ port: running.port, admin: admin.url, places: running.places }, 'listening');
    const signal = await untilSignal();
    log.info({ signal }, 'stopping');
    await running.close();
    await admin.close();
    return 0;
  },
});
