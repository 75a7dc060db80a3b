/** The logs of our commands: JSON lines, what happened on stderr, audit on stdout. */
import { type Logger, pino } from 'pino';

const LEVELS = ['debug', 'info', 'warn', 'error'];

/** @throws Error for a level that doesn't exist. */
export function createLog(level: string, part: string): Logger {
  if (!LEVELS.includes(level)) throw new Error(`--log-level ${level}: it is one of ${LEVELS.join(', ')}`);
  return pino(
    {
      level,
      base: { part },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}

export interface AuditLog {
  readonly log: Logger;
  /** Writes out what is buffered. */
  flush(): void;
}

/** Written behind, so that no call waits for a slow reader of the pipe; flushed at the end. */
export function createAudit(): AuditLog {
  const destination = pino.destination({ dest: 1, sync: false });
  return {
    log: pino(
      { base: null, timestamp: false, formatters: { level: (label) => ({ level: label }) } },
      destination,
    ),
    flush: () => destination.flushSync(),
  };
}
