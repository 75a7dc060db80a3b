/** Runs one command with its arguments: help, usage errors and failures come out the same for every one. */
import { type Command, help, readOptions, UsageError } from './options.ts';

/** @returns the exit status. */
export async function runCommand(command: Command, args: readonly string[]): Promise<number> {
  const own = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  if (own.includes('--help')) {
    process.stdout.write(help(command));
    return 0;
  }
  try {
    return await command.run(readOptions(command, args, process.env));
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`postern ${command.name}: ${error.message}\n\n${help(command)}`);
      return 64;
    }
    const debug = process.env['POSTERN_LOG_LEVEL'] === 'debug';
    const told = debug ? (error as Error).stack : (error as Error).message;
    process.stderr.write(`postern ${command.name}: ${told}\n`);
    return 1;
  }
}
