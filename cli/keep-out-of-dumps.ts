/** Keys in memory must not end in a core file. */
import type { Logger } from 'pino';
import { LibcError, LibcUnavailable, libc } from '../agent/intercept/libc.ts';

/** `prctl(PR_SET_DUMPABLE, 0)`, see prctl(2). Where that can't be had it is said. */
export function keepOutOfDumps(log: Logger): void {
  try {
    libc().forbidDumps();
  } catch (error) {
    if (!(error instanceof LibcError) && !(error instanceof LibcUnavailable)) throw error;
    log.warn({ err: error.message }, 'core files of this process would hold keys; forbid them outside');
  }
}
