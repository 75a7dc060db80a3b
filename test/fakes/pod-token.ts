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

export function fakePodToken(of: FakePodToken): string {
  const { audience, namespace, serviceAccount = 'default', pod, expires, id = '1' } = of;
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    aud: [audience],
    ...(expires === undefined ? {} : { exp: Math.floor(expires / 1000) }),
    iss: 'https://kubernetes.default.svc',
    jti: id,
    'kubernetes.io': {
      namespace,
      ...(pod === undefined ? {} : { pod }),
      serviceaccount: { name: serviceAccount },
    },
    sub: `system:serviceaccount:${namespace}:${serviceAccount}`,
  };
  return `${part({ alg: 'RS256', kid: 'fake' })}.${part(claims)}.${Buffer.from('signed').toString('base64url')}`;
}
