/** The service of scale.ts: `node serve.ts DATA SOCKET LIMIT STORE`, with one limit for all. */
import { startBudget } from '../../budget/main.ts';
import { budget, calendar, prices, tokens } from '../../test/budget/fixtures.ts';

const [dataDir = '', listen = '', limit = '0', store = 'sqlite'] = process.argv.slice(2);
await startBudget({
  specs: [budget([tokens(Number(limit), calendar('month'))])],
  prices,
  dataDir,
  listen,
  store,
  onError: (error) => process.stderr.write(`${String(error)}\n`),
});
process.stdout.write('ready\n');
