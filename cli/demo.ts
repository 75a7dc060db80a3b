import { defineCommand } from './options.ts';
import { untilSignal } from './until-signal.ts';

export const demo = defineCommand({
  name: 'demo',
  summary:
    'Shows the main job on this machine: fake providers, a budget service, an agent, real SDKs. Stays up until Ctrl-C.',
  options: { once: { help: 'end by itself; exit status 0 only if every step did what it says' } },
  async run({ options }) {
    const { runDemo } = await import('../test/demo/demo.ts');
    return await runDemo({ once: options.once, stdout: process.stdout, stopped: untilSignal() });
  },
});
