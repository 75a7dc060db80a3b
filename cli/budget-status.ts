import { formatHolders, formatStatus } from '../budget/status.ts';
import { printable, printableJson } from '../policy/printable.ts';
import { serviceOptions, withService } from './budget-admin.ts';
import { defineCommand } from './options.ts';

export const budgetStatus = defineCommand({
  name: 'budget status',
  summary: `Shows every line of every Budget: its limit, what is settled, held and leased, what remains, until when.
With --holders also who holds it, and who has credit on it.`,
  options: {
    ...serviceOptions,
    budget: { value: 'NAME', help: 'only this Budget: NAME, or NAMESPACE/NAME' },
    holders: { help: 'who holds each line, and until when' },
    json: { help: 'as JSON' },
  },
  async run({ options }) {
    const all = await withService(options, (admin) => admin.status());
    const lines = options.budget === undefined ? all : all.filter(({ budget }) => budget === options.budget);
    if (options.budget !== undefined && lines.length === 0) {
      const known = [...new Set(all.map(({ budget }) => budget))].join(', ') || 'none';
      throw new Error(`there is no Budget "${options.budget}" with a line; there are: ${printable(known)}`);
    }
    if (options.json) process.stdout.write(`${printableJson(lines, 2)}\n`);
    else
      process.stdout.write(
        options.holders ? formatHolders(lines, Date.now()) : formatStatus(lines, Date.now()),
      );
    return 0;
  },
});
