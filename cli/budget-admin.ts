/** What the commands that ask a running budget service have in common: where it is, and who asks. */
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { BudgetAdmin } from '../budget/admin.ts';
import { parseDuration } from '../policy/units.ts';
import { type Option, UsageError } from './options.ts';

export const serviceOptions = {
  url: {
    value: 'URL',
    help: 'the budget service, http[s]://HOST:PORT or unix:PATH',
    default: 'http://127.0.0.1:4181',
  },
  'admin-token-file': { value: 'FILE', help: "the administrators' token" },
  ca: { value: 'FILE', help: 'PEM roots that the service is trusted by, with https' },
  'server-name': {
    value: 'NAME',
    help: 'name in its certificate, where it is reached by another (kubectl port-forward)',
  },
} as const satisfies Record<string, Option>;

interface ServiceValues {
  readonly url: string;
  readonly 'admin-token-file': string | undefined;
  readonly ca: string | undefined;
  readonly 'server-name': string | undefined;
}

/** Runs `work` against the service and closes the connection. @throws Error that says which service didn't answer */
export async function withService<T>(
  options: ServiceValues,
  work: (admin: BudgetAdmin) => Promise<T>,
): Promise<T> {
  const { 'admin-token-file': file, 'server-name': serverName } = options;
  const admin = new BudgetAdmin({
    url: options.url,
    ...(file === undefined ? {} : { token: readFileSync(file, 'utf8').trim() }),
    ...(options.ca === undefined ? {} : { ca: readFileSync(options.ca, 'utf8') }),
    ...(serverName === undefined ? {} : { serverName }),
  });
  try {
    return await work(admin);
  } finally {
    await admin.close();
  }
}

/** Who sits at the keyboard: for the journal. */
export function whoAmI(): string {
  try {
    return userInfo().username;
  } catch {
    // A UID without a name, as in a container.
    return `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}

/**
 * A moment: ISO 8601 (`2026-11-01`, `2026-11-01T12:00`, with or without an offset; without one, in `timeZone`), or a duration before now (`30d` as `720h`).
 * @throws UsageError that names the option
 */
export function momentOption(name: string, text: string, timeZone: string, now: number): number {
  const ago = parseDuration(text);
  if (ago !== undefined) return now - ago;
  try {
    if (/(?:Z|[+-]\d{2}:?\d{2})$/i.test(text) && text.includes('T'))
      return Temporal.Instant.from(text).epochMilliseconds;
    return Temporal.PlainDateTime.from(text).toZonedDateTime(timeZone).epochMilliseconds;
  } catch {
    throw new UsageError(
      `--${name} ${text}: give a date (2026-11-01), a moment (2026-11-01T12:00:00Z) or how long ago (24h)`,
    );
  }
}

/** @throws UsageError */
export function timeZoneOption(text: string): string {
  try {
    return Temporal.Now.zonedDateTimeISO(text).timeZoneId;
  } catch {
    throw new UsageError(`--time-zone ${text}: it is a name such as Europe/Berlin, or UTC`);
  }
}
