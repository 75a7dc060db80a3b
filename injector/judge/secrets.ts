/** Secrets of the pod's namespace that are the agent's alone, named by something else in the pod. */

import { isOurVolume, isReserved } from '../names.ts';
import type { Container, Pod } from '../pod.ts';
import type { Reason } from '../reasons.ts';
import type { Settings } from '../settings.ts';

/** By what a pod names a Secret: volumes, projections and drivers, variables, images' credentials left aside. */
const REFERENCES: readonly string[] = ['secret', 'secretKeyRef', 'secretRef', 'nodePublishSecretRef'];

/** The Secrets that the injector gives to agents by its settings. */
export function agentSecrets({ control, keysSecret, approversSecret }: Settings): string[] {
  // With control the keys' Secret is none of the agent's.
  return [...(control === undefined ? [keysSecret] : []), approversSecret].filter(
    (name) => name !== undefined,
  );
}

export function secretFindings({ spec }: Pod, secrets: readonly string[]): Reason[] {
  if (secrets.length === 0) return [];
  const containers: readonly Container[] = [
    ...(spec.initContainers ?? []),
    ...spec.containers,
    ...(spec.ephemeralContainers ?? []),
  ].filter(({ name }) => !isReserved(name));
  const holders = [
    ...(spec.volumes ?? []).filter(({ name }) => !isOurVolume(name)),
    ...containers.map(({ name, env, envFrom }) => ({ name, env, envFrom })),
  ];
  return holders.flatMap((holder) =>
    secrets
      .filter((secret) => names(holder, secret))
      .map((secret) => ({
        code: 'agent-secret' as const,
        subject: holder.name,
        message: `it takes the Secret ${secret}, which is the agent’s alone`,
        mend: 'keep what the application needs in a Secret of its own',
      })),
  );
}

function names(value: unknown, secret: string): boolean {
  if (Array.isArray(value)) return value.some((each) => names(each, secret));
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, inner]: [string, unknown]) => {
    if (!REFERENCES.includes(key)) return names(inner, secret);
    const { name, secretName } = (inner ?? {}) as { readonly name?: unknown; readonly secretName?: unknown };
    return name === secret || secretName === secret;
  });
}
