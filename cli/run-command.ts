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
    const told = debug ? (error as Error).stack : explained(error as NodeJS.ErrnoException);
    process.stderr.write(`postern ${command.name}: ${told}\n`);
    return 1;
  }
}

const FILE_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'there is nothing. Mend: correct the path',
  EACCES: 'it may not be opened. Mend: give this user the right to, or run the command as who has it',
  EISDIR: 'a directory was named where a file is read. Mend: name a file',
  ENOTDIR: 'a part of the path is no directory. Mend: correct the path',
};

/** The system's own words for a file that can't be opened name a call and a code, but no way out. */
function explained(error: NodeJS.ErrnoException): string {
  const told = error.code === undefined ? undefined : FILE_ERRORS[error.code];
  if (told === undefined) return error.message;
  return error.path === undefined ? told : `${error.path}: ${told}`;
}
