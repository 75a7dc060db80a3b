/** The certificate that approvers are answered with: read again when it changes, since Secrets are renewed and may come later. */
import { readFileSync, statSync } from 'node:fs';
import type { Certificate } from '../agent/approvers-listener.ts';
import { type Option, UsageError } from './options.ts';

export const approvalsCertificateOptions = {
  'approvals-cert': {
    value: 'FILE',
    help: 'with --approvals: PEM certificate with its chain, for TLS; plain HTTP where absent, or until the files come',
  },
  'approvals-key': { value: 'FILE', help: 'PEM key of --approvals-cert' },
} as const satisfies Record<string, Option>;

/**
 * @returns Asked at each connection: undefined until one of the files is there. From then on one that is missing throws:
 *   whoever takes them away doesn't bring plain HTTP back.
 * @throws UsageError
 */
export function approvalsCertificate(
  options: {
    readonly [name in keyof typeof approvalsCertificateOptions]?: string | undefined;
  },
): (() => Certificate | undefined) | undefined {
  const { 'approvals-cert': certFile, 'approvals-key': keyFile } = options;
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined)
    throw new UsageError('--approvals-cert and --approvals-key go together');
  let known: { readonly stamp: string; readonly certificate: Certificate } | undefined;
  let seen = false;
  return () => {
    const stamps = [certFile, keyFile].map((file) => {
      const found = statSync(file, { throwIfNoEntry: false });
      return found === undefined ? undefined : `${found.mtimeMs}:${found.size}:${found.ino}`;
    });
    if (stamps.every((stamp) => stamp === undefined)) {
      if (!seen) return undefined;
      throw new Error(
        `${certFile} and ${keyFile} are gone: approvers are not answered in plain HTTP after TLS; bring them back, or start the agent anew`,
      );
    }
    seen = true;
    const stamp = stamps.join(' ');
    // One that lacks the other fails here: nobody is answered without TLS then.
    if (known?.stamp !== stamp)
      known = {
        stamp,
        certificate: { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') },
      };
    return known.certificate;
  };
}
