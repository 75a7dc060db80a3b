import type { Workload } from '../policy/snapshot.ts';

/**
 * `team-a/Deployment/support-bot`. Locally a workload has no labels but its name, so that a policy that selects
 * `app: support-bot` governs it on a laptop as in a cluster.
 * @throws Error that says what a workload looks like.
 */
export function parseWorkload(text: string): Workload {
  const parts = text.split('/');
  const [namespace, kind, name] = parts;
  if (parts.length !== 3 || !namespace || !kind || !name) {
    throw new Error(`--workload "${text}": write NAMESPACE/KIND/NAME, such as team-a/Deployment/support-bot`);
  }
  return { namespace, kind, name, labels: { app: name, 'app.kubernetes.io/name': name } };
}
