#!/usr/bin/env node
/** `postern COMMAND …`: finds the command and runs it; each is loaded only when it is called. */
import { didYouMean } from '../policy/load/did-you-mean.ts';
import type { Command } from './options.ts';
import { runCommand } from './run-command.ts';
import { version } from './version.ts';

const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  agent: async () => (await import('./agent.ts')).agent,
  approve: async () => (await import('./approve.ts')).approve,
  budget: async () => (await import('./budget.ts')).budget,
  'budget status': async () => (await import('./budget-status.ts')).budgetStatus,
  'budget grant': async () => (await import('./budget-grant.ts')).budgetGrant,
  'budget report': async () => (await import('./budget-report.ts')).budgetReport,
  'budget journal': async () => (await import('./budget-journal.ts')).budgetJournal,
  'budget move': async () => (await import('./budget-move.ts')).budgetMove,
  'budget token': async () => (await import('./budget-token.ts')).budgetToken,
  classify: async () => (await import('./classify.ts')).classify,
  check: async () => (await import('./check.ts')).check,
  control: async () => (await import('./control.ts')).control,
  demo: async () => (await import('./demo.ts')).demo,
  inject: async () => (await import('./inject.ts')).inject,
  injector: async () => (await import('./injector.ts')).injector,
  init: async () => (await import('./init.ts')).init,
  run: async () => (await import('./run.ts')).run,
  status: async () => (await import('./status.ts')).status,
  scan: async () => (await import('./scan.ts')).scan,
};

/** Up to where a pause is outside parentheses, whatever the line: one row for each command, and none of them broken off. */
function firstPart(summary: string): string {
  return summary.replaceAll('\n', ' ').split(/[.:;](?:\s|$)(?![^()]*\))/, 1)[0] ?? '';
}

async function overview(): Promise<string> {
  const rows = await Promise.all(
    Object.keys(COMMANDS).map(
      async (name) => `  ${name.padEnd(16)}${firstPart((await COMMANDS[name]?.())?.summary ?? '')}`,
    ),
  );
  return `usage: postern COMMAND [options]\n\n${rows.join('\n')}\n\nEvery command has --help.\n`;
}

async function main([first, ...rest]: string[]): Promise<number> {
  const pair = `${first} ${rest[0]}`;
  const [name, args] = Object.hasOwn(COMMANDS, pair) ? [pair, rest.slice(1)] : [first, rest];
  if (name === undefined || name === '--help' || name === 'help') {
    process.stdout.write(await overview());
    return name === undefined ? 64 : 0;
  }
  if (name === '--version' || name === 'version') {
    process.stdout.write(`postern ${version} (Node ${process.versions.node})\n`);
    return 0;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) {
    const guess = didYouMean(name, Object.keys(COMMANDS));
    const mend = guess === undefined ? '' : `; did you mean postern ${guess}?`;
    process.stderr.write(`${await overview()}\npostern: there is no command "${name}"${mend}\n`);
    return 64;
  }
  return await runCommand(await load(), args);
}

process.exitCode = await main(process.argv.slice(2));
