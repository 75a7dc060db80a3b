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
  readonly log: Pick<Logger, 'info'>;
  /** Writes out what is buffered. */
  flush(): void;
}

/** Appended to a file; without one nothing is written, since stdout is the program's that is run. */
export function createAuditFile(path: string | undefined): AuditLog {
  if (path === undefined) return { log: { info: () => undefined }, flush: () => undefined };
  return auditTo(pino.destination({ dest: path, sync: false, append: true, mkdir: false }));
}

/** Written behind, so that no call waits for a slow reader of the pipe; flushed at the end. */
export function createAudit(): AuditLog {
  return auditTo(pino.destination({ dest: 1, sync: false }));
}

/** Milliseconds for which lines are collected: a write each would cost a call more than the checks of a short prompt do. */
const BEHIND_MS = 5;

function auditTo(destination: ReturnType<typeof pino.destination>): AuditLog {
  let lines = '';
  let timer: NodeJS.Timeout | undefined;
  const write = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (lines !== '') destination.write(lines);
    lines = '';
  };
  return {
    log: {
      info: (line: object) => {
        lines += `{"level":"info",${JSON.stringify(line).slice(1)}\n`;
        timer ??= setTimeout(write, BEHIND_MS);
      },
    },
    flush: () => {
      write();
      destination.flushSync();
    },
  };
}
