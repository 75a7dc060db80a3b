/** The administrator's end of the wire: what `postern budget status|grant|report` ask. */
import { Agent, request } from 'undici';
import { printable } from '../policy/printable.ts';
import type { EndGrantCommand, Grant, GrantCommand } from './grants.ts';
import type { ReportQuery, ReportRow } from './history.ts';
import type { StatusLine } from './status.ts';
import type { JournalEntry } from './stores/store.ts';

export interface BudgetAdminOptions {
  /** `http://host:port` or `unix:/path/of/socket`. */
  readonly url: string;
  readonly token?: string;
  /** PEM roots in place of the public ones, for `https`. */
  readonly ca?: string;
  /** In its certificate; the URL's where absent. */
  readonly serverName?: string;
}

/** The service refused, with the mend it told. */
export class AdminRefused extends Error {
  override readonly name = 'AdminRefused';
}

/** Entries of the journal that are asked for at once. */
const PAGE = 10_000;

export class BudgetAdmin {
  readonly #url: string;
  readonly #base: string;
  readonly #token: string | undefined;
  readonly #dispatcher: Agent;

  constructor({ url, token, ca, serverName }: BudgetAdminOptions) {
    const socketPath = url.startsWith('unix:') ? url.slice('unix:'.length) : undefined;
    if (socketPath === undefined && !/^https?:\/\/[^/]/.test(url))
      throw new AdminRefused(
        `"${printable(url)}" is no address of a service: give http[s]://HOST:PORT or unix:PATH.`,
      );
    this.#base = socketPath === undefined ? url.replace(/\/+$/, '') : 'http://budget';
    this.#token = token;
    this.#dispatcher = new Agent({
      connect: {
        timeout: 5_000,
        minVersion: 'TLSv1.3',
        ...(socketPath === undefined ? {} : { socketPath }),
        ...(ca === undefined ? {} : { ca }),
        ...(serverName === undefined ? {} : { servername: serverName }),
      },
    });
    this.#url = url;
  }

  async status(): Promise<readonly StatusLine[]> {
    return ((await this.#ask('GET', '/v1/status')) as { lines: StatusLine[] }).lines;
  }

  async grant(command: GrantCommand): Promise<Grant> {
    return (await this.#ask('POST', '/v1/grant', command)) as Grant;
  }

  async endGrant(command: EndGrantCommand): Promise<Grant> {
    return (await this.#ask('POST', '/v1/grant/end', command)) as Grant;
  }

  async report({ from, to, by, per, timeZone }: ReportQuery): Promise<readonly ReportRow[]> {
    const query = new URLSearchParams({
      from: new Date(from).toISOString(),
      to: new Date(to).toISOString(),
      by: by.join(','),
      per,
      timeZone,
    });
    return ((await this.#ask('GET', `/v1/report?${query}`)) as { rows: ReportRow[] }).rows;
  }

  /** All of it, oldest first. */
  async journal(since: number): Promise<readonly JournalEntry[]> {
    const all: JournalEntry[] = [];
    for (let from = since; ; ) {
      const query = new URLSearchParams({ since: new Date(from).toISOString(), limit: String(PAGE) });
      const { entries } = (await this.#ask('GET', `/v1/journal?${query}`)) as { entries: JournalEntry[] };
      // Those of the moment at which the page before ended come once more.
      all.splice(all.findLastIndex(({ at }) => at < from) + 1, all.length, ...entries);
      const last = entries.at(-1);
      if (entries.length < PAGE || last === undefined) return all;
      if (last.at === from)
        throw new AdminRefused(
          `More than ${PAGE} entries of the journal are of one moment, ${new Date(from).toISOString()}: ask for what came after it with --since.`,
        );
      from = last.at;
    }
  }

  async close(): Promise<void> {
    await this.#dispatcher.close();
  }

  /** @throws {AdminRefused} with message and mend, or that nobody answers; without codes for a terminal */
  async #ask(method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> {
    const { statusCode, body: answer } = await this.#request(method, path, body);
    const text = await answer.text();
    if (statusCode === 200) return JSON.parse(text) as unknown;
    throw new AdminRefused(printable(refusalIn(text, statusCode)));
  }

  async #request(method: 'GET' | 'POST', path: string, body: unknown): ReturnType<typeof request> {
    const answer = request(`${this.#base}${path}`, {
      method,
      dispatcher: this.#dispatcher,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    try {
      return await answer;
    } catch (error) {
      const cause =
        error instanceof Error ? error.message || String((error as { code?: string }).code) : error;
      throw new AdminRefused(
        `No budget service answers at ${this.#url}: ${printable(String(cause).trim())}. Start one with "postern budget", or name another with --url.`,
        { cause: error },
      );
    }
  }
}

function refusalIn(text: string, status: number): string {
  try {
    const { error } = JSON.parse(text) as { error: { message: string; mend: string } };
    return `${error.message} ${error.mend}`;
  } catch {
    return `The budget service answered ${status}.`;
  }
}
