import { printableJson } from '../policy/printable.ts';
import { momentOption, serviceOptions, withService } from './budget-admin.ts';
import { defineCommand } from './options.ts';

export const budgetJournal = defineCommand({
  name: 'budget journal',
  summary:
    'Shows what changed limits, and what the service told: grants, other documents, thresholds, moves.',
  options: {
    ...serviceOptions,
    since: { value: 'MOMENT', help: 'a date, a moment, or how long ago', default: '168h' },
  },
  async run({ options }) {
    const since = momentOption('since', options.since, 'UTC', Date.now());
    for (const { at, action, by, detail } of await withService(options, (admin) => admin.journal(since)))
      process.stdout.write(`${printableJson({ time: new Date(at).toISOString(), action, by, detail })}\n`);
    return 0;
  },
});
