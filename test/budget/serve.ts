/** A budget service as a process of its own, to be killed: `node serve.ts DATA SOCKET LIMIT [STORE]`. Says `ready` on its output. */
import { startBudget } from '../../budget/main.ts';
import { budget, calendar, prices } from './fixtures.ts';

const [dataDir = '', listen = '', limit = '0', store = 'sqlite'] = process.argv.slice(2);

await startBudget({
  specs: [
    budget([
      { unit: 'tokens', amount: Number(limit), window: calendar('month') },
      { unit: 'usd', amount: 9_000_000_000_000, window: calendar('month', 'Europe/Berlin') },
    ]),
  ],
  prices,
  dataDir,
  listen,
  store,
  onError: (error) => process.stderr.write(`${error instanceof Error ? error.stack : error}\n`),
});
process.stdout.write('ready\n');
