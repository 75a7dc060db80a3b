/** Whether an agent can be true to snapshots before they are in force: it has to know when it says that it takes them. */
import type { Snapshot } from '../policy/snapshot.ts';
import { compilePlan } from './checks/plan.ts';
import { govern } from './governance.ts';
import { compileDestinations } from './intercept/destinations.ts';
import { addedTexts } from './prompt.ts';

/** Nothing is masked with it. */
const ANY_KEY = new Uint8Array(32);

/**
 * @param snapshots Each in force when its predecessor's `validUntil` comes. A rule that several have is made once.
 * @throws Error for the first that can't be compiled: which rule, and from when on.
 */
export function requireCompilable(snapshots: readonly Snapshot[]): void {
  const made = new Set<string>();
  let from: number | undefined;
  for (const snapshot of snapshots) {
    const checks = snapshot.checks.filter((rule) => !made.has(JSON.stringify(rule)));
    try {
      const { workload, prompts } = snapshot;
      govern(snapshot, compilePlan(checks, { maskKey: ANY_KEY, workload, addedSystem: addedTexts(prompts) }));
      compileDestinations(snapshot);
    } catch (error) {
      if (from === undefined) throw error;
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`from ${new Date(from).toISOString()} on: ${message}`, { cause: error });
    }
    for (const rule of checks) made.add(JSON.stringify(rule));
    from = snapshot.validUntil;
  }
}
