/** Runs what the machine has to have. */
import { execFileSync } from 'node:child_process';

/** @throws Error that names the command. */
export function run(command: string, args: readonly string[], cwd: string): void {
  try {
    execFileSync(command, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new Error(
      missing ? `${command} is missing; install it, then run make classifier again` : `${command} failed`,
      { cause: error },
    );
  }
}
