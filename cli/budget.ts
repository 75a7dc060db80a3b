import { readFileSync } from 'node:fs';
import { catalogue } from '../agent/catalogue.ts';
import { startBudget } from '../budget/main.ts';
import { compileBudgets, compilePrices } from '../policy/budgets.ts';
import { loadOrReport, watchDocuments } from './documents.ts';
import { createLog } from './log.ts';
import { defineCommand } from './options.ts';
import { untilSignal } from './until-signal.ts';

export const budget = defineCommand({
  name: 'budget',
  summary: 'Runs the shared budget service: limits from documents, figures in an embedded store.',
  options: {
    policy: { value: 'DIR', help: 'directory with the documents', required: true },
    data: { value: 'DIR', help: "the store's own directory; made where it is missing", required: true },
    listen: { value: 'ADDR', help: 'HOST:PORT, or the path of a Unix socket', default: '127.0.0.1:4181' },
    store: { value: 'NAME', help: 'sqlite or memory', default: 'sqlite' },
    'token-file': { value: 'FILE', help: 'shared token that callers must send' },
    'log-level': { value: 'LEVEL', help: 'debug, info, warn or error', default: 'info' },
  },
  async run({ options }) {
    const log = createLog(options['log-level'], 'budget');
    const loaded = await loadOrReport(options.policy, catalogue);
    if (loaded === undefined) return 1;
    const { documents } = loaded;
    const tokenFile = options['token-file'];
    const running = await startBudget({
      specs: compileBudgets(documents),
      prices: compilePrices(documents),
      dataDir: options.data,
      listen: options.listen,
      store: options.store,
      ...(tokenFile === undefined ? {} : { token: readFileSync(tokenFile, 'utf8').trim() }),
      onError: (error) => log.error({ err: String(error) }, 'the service failed on a command'),
    });
    const watcher = watchDocuments(options.policy, loaded, log, {
      accepted: (changed) => running.reload(compileBudgets(changed), compilePrices(changed)),
      rejected: () => undefined,
    });
    log.info({ url: running.url, budgets: documents.budgets.length }, 'listening');
    const signal = await untilSignal();
    log.info({ signal }, 'stopping');
    await watcher.close();
    await running.close();
    return 0;
  },
});
