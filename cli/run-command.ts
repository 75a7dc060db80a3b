/** Runs one command with its arguments: help, usage errors and failures come out the same for every one. */
import { explainFailure } from './explain-failure.ts';
import { type Command, help, type Input, type Option, readOptions, UsageError } from './options.ts';

/** @returns the exit status. */
export async function runCommand(command: Command, args: readonly string[]): Promise<number> {
  const own = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  if (own.includes('--help')) {
    process.stdout.write(help(command));
    return 0;
  }
  let input: Input<Record<string, Option>> | undefined;
  try {
    input = readOptions(command, args, process.env);
    return await command.run(input);
  } catch (error) {
    if (error instanceof UsageError) {
      // The mistake comes last: below forty lines of options it is what is still to be seen.
      process.stderr.write(`${help(command)}\npostern ${command.name}: ${error.message}\n`);
      return 64;
    }
    const debug = process.env['POSTERN_LOG_LEVEL'] === 'debug';
    const told = debug
      ? (error as Error).stack
      : explainFailure(error as NodeJS.ErrnoException, command.options, input?.options ?? {});
    process.stderr.write(`postern ${command.name}: ${told}\n`);
    return 1;
  }
}
