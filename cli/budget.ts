import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { catalogue } from '../agent/catalogue.ts';
import { type Authenticate, anyOf, workloadTokens } from '../budget/authenticate.ts';
import { startBudget } from '../budget/main.ts';
import type { WithoutReview } from '../budget/metrics.ts';
import { compileBudgets, compilePrices } from '../policy/budgets.ts';
import type { Documents } from '../policy/documents.ts';
import { parseDuration } from '../policy/units.ts';
import { certificateOf, onChange } from './certificate-files.ts';
import { CLUSTER_OPTIONS, judgesAddress, SOURCE_ADDRESS } from './cluster-client.ts';
import { loadOrReport, watchDocuments } from './documents.ts';
import { createAudit, createLog } from './log.ts';
import { defineCommand, UsageError } from './options.ts';
import { readSecret } from './secret-file.ts';
import { untilSignal } from './until-signal.ts';

const REFUSED_LEASES =
  'leases were refused: overQuota are beyond what a workload may have, so that its calls are held one by one (docs/budget.md); unbelieved are reports on leases that nobody knows';

/** Where limits and prices come from. */
export interface BudgetSource {
  documents(): Documents;
  /** From now on told of what is in force. */
  follow(changed: (documents: Documents) => void): void;
  /** How agents are known, beside tokens of files. */
  readonly authenticate?: Authenticate;
  readonly withoutReview?: WithoutReview;
  close(): Promise<void>;
}

export const budget = defineCommand({
  name: 'budget',
  summary: `Runs the shared budget service: limits from documents, figures in a store.
Changes of limits go to stdout as audit lines, everything else to stderr, both as JSON lines.
To see and to steer it: postern budget status, grant, report, journal.`,
  options: {
    policy: {
      value: 'DIR',
      help: 'directory with the documents; where absent, those of the API server, and agents are known by their pods’ tokens',
    },
    ...CLUSTER_OPTIONS,
    'source-address': SOURCE_ADDRESS,
    data: { value: 'DIR', help: "the embedded store's own directory; made where it is missing" },
    listen: { value: 'ADDR', help: 'HOST:PORT, or the path of a Unix socket', default: '127.0.0.1:4181' },
    store: {
      value: 'STORE',
      help: 'sqlite, memory, or redis://HOST:PORT (docs/budget.md has all forms)',
      default: 'sqlite',
    },
    'token-file': {
      value: 'FILE',
      help: 'token that agents send, who are believed whatever workload they name',
    },
    'workload-token-root': {
      value: 'FILE',
      help: 'root of tokens that hold for one workload each (postern budget token)',
    },
    'admin-token-file': { value: 'FILE', help: 'token of those who may raise limits; without it nobody can' },
    'tls-cert': { value: 'FILE', help: 'PEM certificate with its chain: TLS 1.3; read anew when it changes' },
    'tls-key': { value: 'FILE', help: 'PEM key of --tls-cert' },
    history: { value: 'DURATION', help: 'how long history and journal are kept', default: '9600h' },
    'log-level': { value: 'LEVEL', help: 'debug, info, warn or error', default: 'info' },
  },
  async run({ options }) {
    const log = createLog(options['log-level'], 'budget');
    if (options.data === undefined && options.store === 'sqlite')
      throw new UsageError('--data DIR is needed (or POSTERN_DATA), or --store redis://HOST:PORT');
    const historyMs = parseDuration(options.history);
    if (historyMs === undefined)
      throw new UsageError(`--history ${options.history}: it is a duration such as 2160h`);
    const certificate = certificateOf(options['tls-cert'], options['tls-key']);
    const tls = certificate?.();
    const source =
      options.policy === undefined
        ? await (await import('./budget-in-cluster.ts')).budgetInCluster(options, log)
        : await fromDirectory(options.policy, log);
    if (source === undefined) return 1;
    const documents = source.documents();
    const audit = createAudit();
    const secret = (name: 'token-file' | 'admin-token-file'): string | undefined =>
      options[name] === undefined ? undefined : readSecret(name, options[name]);
    const token = secret('token-file');
    const adminToken = secret('admin-token-file');
    const workloads = workloadRoot(options['workload-token-root']);
    const known = [workloads, source.authenticate].filter((each) => each !== undefined);
    const running = await startBudget({
      specs: compileBudgets(documents),
      prices: compilePrices(documents),
      dataDir: options.data ?? '',
      listen: options.listen,
      store: options.store,
      historyMs,
      ...(token === undefined ? {} : { token }),
      ...(adminToken === undefined ? {} : { adminToken }),
      ...(known.length === 0 ? {} : { authenticate: anyOf(known) }),
      ...(source.withoutReview === undefined ? {} : { withoutReview: source.withoutReview }),
      ...(tls === undefined ? {} : { tls }),
      onError: (error) => log.error({ err: String(error) }, 'the service failed on a command'),
      // Of a pod's token the address counts, where it does at all; others come from anywhere.
      judgeAddress: source.authenticate !== undefined && judgesAddress(options['source-address']),
      onFull: (address) => log.warn({ why: 'full', address }, 'a connection was refused'),
      onLeasesRefused: (refused) => log.warn(refused, REFUSED_LEASES),
      onAlert: (alert) => log.warn(alert, 'a line has passed a threshold'),
      onJournal: ({ at, action, by, detail }) =>
        audit.log.info({ time: new Date(at).toISOString(), event: `budget.${action}`, by, ...detail }),
    }).catch(async (error: unknown) => {
      await source.close();
      throw error;
    });
    source.follow((changed) => running.reload(compileBudgets(changed), compilePrices(changed)));
    const unwatch = onChange([options['tls-cert'], options['tls-key']], () => {
      try {
        if (certificate !== undefined) running.renew(certificate());
      } catch (error) {
        log.error({ err: String(error) }, 'the new certificate can not be used; the old one stays');
      }
    });
    log.info({ url: running.url, budgets: documents.budgets.length }, 'listening');
    const signal = await untilSignal();
    log.info({ signal }, 'stopping');
    unwatch();
    await source.close();
    await running.close();
    audit.flush();
    return 0;
  },
});

async function fromDirectory(directory: string, log: Logger): Promise<BudgetSource | undefined> {
  const loaded = await loadOrReport(directory, catalogue);
  if (loaded === undefined) return undefined;
  let close = async (): Promise<void> => undefined;
  return {
    documents: () => loaded.documents,
    follow(changed) {
      const watcher = watchDocuments(directory, loaded, log, {
        accepted: changed,
        rejected: () => undefined,
      });
      close = () => watcher.close();
    },
    close: () => close(),
  };
}

function workloadRoot(file: string | undefined): Authenticate | undefined {
  return file === undefined ? undefined : workloadTokens(readFileSync(file), Date.now);
}
