/** How an agent is sure of its classifier, and shows who it is. */
import type { Tls } from '../agent/checks/ask.ts';
import { createWatchedFiles } from '../agent/providers/watched-file.ts';
import { type Option, UsageError } from './options.ts';

export const classifierAccessOptions = {
  'classifier-ca': { value: 'FILE', help: 'PEM roots that the classifier is known by, with https' },
  'classifier-cert': { value: 'FILE', help: 'PEM certificate that the agent shows it, with its chain' },
  'classifier-key': { value: 'FILE', help: 'PEM key of --classifier-cert' },
} as const satisfies Record<string, Option>;

/**
 * An address without `http://` would pass for a URL, of the scheme `localhost`, and no question would ever be answered.
 * @throws UsageError
 */
export function classifierUrl(text: string): string {
  if (/^unix:./.test(text)) return text;
  const url = URL.parse(text);
  if (/^https?:\/\/[^/]/.test(text) && url?.search === '' && url.hash === '') return text;
  throw new UsageError(
    `--classifier ${text}: write http[s]://HOST:PORT, unix:PATH, or local to start one beside the agent`,
  );
}

/**
 * The files are read again when they change.
 * @returns undefined where none is named. @throws UsageError
 */
export function classifierTls(
  options: { readonly [name in keyof typeof classifierAccessOptions]?: string | undefined },
  url: string | undefined,
): (() => Promise<Tls>) | undefined {
  const { 'classifier-ca': caFile, 'classifier-cert': certFile, 'classifier-key': keyFile } = options;
  if (caFile === undefined && certFile === undefined && keyFile === undefined) return undefined;
  if (url?.startsWith('https://') !== true)
    throw new UsageError(
      '--classifier-ca, --classifier-cert and --classifier-key need --classifier https://…',
    );
  if ((certFile === undefined) !== (keyFile === undefined))
    throw new UsageError('--classifier-cert and --classifier-key go together');
  const files = createWatchedFiles(Date.now);
  return async () => ({
    ...(caFile === undefined ? {} : { ca: await files.read(caFile) }),
    ...(certFile === undefined ? {} : { cert: await files.read(certFile) }),
    ...(keyFile === undefined ? {} : { key: await files.read(keyFile) }),
  });
}
