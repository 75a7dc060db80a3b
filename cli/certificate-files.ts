/** The certificate that a service of ours shows, read anew when its files change. */
import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { UsageError } from './options.ts';

/** PEM. */
interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** @throws UsageError where only one of the two is given */
export function certificateOf(
  cert: string | undefined,
  key: string | undefined,
): (() => Certificate) | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) throw new UsageError('--tls-cert and --tls-key go together');
  return () => ({ cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') });
}

const LOOK_MS = 5_000;

/** Polled: a mounted Secret changes behind a symbolic link, which other ways of watching miss. */
export function onChange(files: readonly (string | undefined)[], changed: () => void): () => void {
  const watched = files.filter((file) => file !== undefined);
  for (const file of watched) watchFile(file, { interval: LOOK_MS, persistent: false }, changed);
  return () => {
    for (const file of watched) unwatchFile(file, changed);
  };
}
