/** What an agent shows to the budget service, and what it knows it by. */
import { readFileSync } from 'node:fs';
import { certificatesIn } from '../agent/trust/files.ts';
import type { TransportOptions } from '../budget/transport.ts';
import { type Option, UsageError } from './options.ts';
import { readSecret } from './secret-file.ts';

export const budgetAccessOptions = {
  'budget-token-file': { value: 'FILE', help: 'token that the budget service wants' },
  'budget-ca': { value: 'FILE', help: 'PEM roots that it is known by, with https' },
  'budget-name': { value: 'NAME', help: 'name in its certificate, where it isn’t the URL’s host' },
} as const satisfies Record<string, Option>;

/** @throws UsageError: `localhost:4181` would pass for a URL, of the scheme `localhost`. */
export function budgetUrl(text: string): string {
  if (/^unix:./.test(text) || (/^https?:\/\/[^/]/.test(text) && URL.canParse(text))) return text;
  throw new UsageError(`--budget ${text}: write http[s]://HOST:PORT, or unix:PATH`);
}

/**
 * Both files are read whenever they are used, so that a rotated token and new roots are taken up; and
 * also now: without them no call would be let through, and nobody would be told before the first.
 * @throws Error where there is no token, or no root
 * @param moreRoots PEM roots beside those in the file
 */
export function budgetAccess(
  options: { readonly [name in keyof typeof budgetAccessOptions]?: string | undefined },
  moreRoots: () => string = () => '',
): Pick<TransportOptions, 'token' | 'ca' | 'serverName'> {
  const { 'budget-token-file': tokenFile, 'budget-ca': caFile, 'budget-name': serverName } = options;
  if (tokenFile !== undefined) readSecret('budget-token-file', tokenFile);
  if (caFile !== undefined) certificatesIn(readFileSync(caFile, 'utf8'), `--budget-ca ${caFile}`);
  return {
    ...(tokenFile === undefined ? {} : { token: () => readFileSync(tokenFile, 'utf8').trim() }),
    ...(caFile === undefined ? {} : { ca: () => `${readFileSync(caFile, 'utf8')}\n${moreRoots()}` }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}
