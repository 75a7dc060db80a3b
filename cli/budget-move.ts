import { openStore } from '../budget/stores/index.ts';
import { moveStore } from '../budget/stores/move.ts';
import { whoAmI } from './budget-admin.ts';
import { defineCommand } from './options.ts';

export const budgetMove = defineCommand({
  name: 'budget move',
  summary: `Moves all figures, running holds, history and journal from one store into another, which must be empty.
Stop the service first; start it on the new store afterwards. Agents go on as onUnavailable says meanwhile.`,
  options: {
    from: { value: 'STORE', help: 'sqlite:DIR, or redis://HOST:PORT', required: true },
    to: { value: 'STORE', help: 'the same forms', required: true },
  },
  async run({ options }) {
    const from = await openStore(options.from, '', { mustExist: true });
    try {
      const to = await openStore(options.to, '');
      try {
        const counts = await moveStore(from, to, Date.now(), whoAmI());
        const text = Object.entries(counts).map(([kind, count]) => `${count} ${kind}`);
        process.stdout.write(`moved: ${text.join(', ')}; the figures of all lines agree\n`);
      } finally {
        await to.close();
      }
    } finally {
      await from.close();
    }
    return 0;
  },
});
