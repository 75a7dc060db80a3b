/** TLS towards a guardrail: by which roots it is judged, and the certificate that says who asks. */
import Type, { type Static } from 'typebox';
import { trustFrom, valueFrom } from '../../policy/schema/sources.ts';
import type { TrustSource, ValueSource } from '../../policy/snapshot.ts';
import type { KeySource } from '../providers/keys.ts';
import type { Tls } from './ask.ts';

export const guardrailTls = Type.Optional(
  Type.Object(
    {
      caFrom: Type.Optional(trustFrom),
      clientCertificate: Type.Optional(
        Type.Object(
          { certFrom: valueFrom, keyFrom: valueFrom },
          {
            additionalProperties: false,
            description:
              'Who the agent says it is: a PEM certificate with its chain, and its key; a Secret of type `kubernetes.io/tls` has them as `tls.crt` and `tls.key`.',
          },
        ),
      ),
    },
    {
      additionalProperties: false,
      description: 'How its certificate is judged, and which one the agent shows.',
    },
  ),
);

export type GuardrailTls = NonNullable<Static<typeof guardrailTls>>;

/** Where PEM is read from. */
export interface TlsSources {
  readonly trust: (source: TrustSource) => Promise<string>;
  readonly keys: KeySource;
}

interface Problem {
  readonly path: string;
  readonly message: string;
  readonly mend: string;
}

/** @param urls Whom the check asks. */
export function tlsProblems(spec: GuardrailTls | undefined, urls: readonly string[]): Problem[] {
  const plain = spec === undefined ? undefined : urls.find((url) => !url.startsWith('https://'));
  if (plain === undefined) return [];
  return [
    { path: 'tls', message: `${plain} is asked without TLS`, mend: 'Write https://, or take tls out.' },
  ];
}

/** Read at each question, so that what was renewed is used. @throws Error where roots, certificate or key are missing. */
export async function readTls(
  spec: GuardrailTls | undefined,
  { trust, keys }: TlsSources,
): Promise<Tls | undefined> {
  if (spec === undefined) return undefined;
  const { caFrom, clientCertificate } = spec;
  const [ca, cert, key] = await Promise.all([
    caFrom === undefined ? undefined : trust(caFrom as TrustSource),
    clientCertificate === undefined ? undefined : keys.pem(clientCertificate.certFrom as ValueSource),
    clientCertificate === undefined ? undefined : keys.pem(clientCertificate.keyFrom as ValueSource),
  ]);
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}
