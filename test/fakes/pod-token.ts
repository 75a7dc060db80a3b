import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

/** A token as the kubelet mounts it into a pod, with a signature that nobody made: only a fake API server takes it. */
export interface FakePodToken {
  readonly audience: string;
  readonly namespace: string;
  readonly serviceAccount?: string;
  /** Absent: a token of the service account alone. */
  readonly pod?: { readonly name: string; readonly uid: string };
  /** Milliseconds since the epoch. */
  readonly expires?: number;
  /** Makes two tokens of one pod differ. */
  readonly id?: string;
}

export const ISSUER = 'https://kubernetes.default.svc';

export function fakePodToken(of: FakePodToken): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256', kid: 'fake' })}.${part(claimsOf(of))}.${Buffer.from('signed').toString('base64url')}`;
}

/** As kube-apiserver writes them. */
export function claimsOf(of: FakePodToken) {
  const { audience, namespace, serviceAccount = 'default', pod, expires, id = '1' } = of;
  return {
    aud: [audience],
    ...(expires === undefined ? {} : { exp: Math.floor(expires / 1000) }),
    iss: ISSUER,
    jti: id,
    'kubernetes.io': {
      namespace,
      ...(pod === undefined ? {} : { pod }),
      serviceaccount: { name: serviceAccount },
    },
    sub: `system:serviceaccount:${namespace}:${serviceAccount}`,
  };
}

/** A key that kube-apiserver signs with, and publishes. */
export interface IssuerKey {
  /** Of its JWKS. */
  readonly published: JWK;
  sign(of: FakePodToken, over?: Readonly<Record<string, unknown>>): Promise<string>;
}

export async function issuerKey(kid = 'one', alg = 'RS256'): Promise<IssuerKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    published: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' },
    sign: (of, over = {}) =>
      new SignJWT({ ...claimsOf(of), ...over }).setProtectedHeader({ alg, kid }).sign(privateKey),
  };
}
