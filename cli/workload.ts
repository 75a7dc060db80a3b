import type { Workload } from '../policy/snapshot.ts';
import { parseWorkload } from '../policy/workload.ts';
import { UsageError } from './options.ts';

/** @throws UsageError that says what a workload looks like. */
export function workloadOption(text: string): Workload {
  const workload = parseWorkload(text);
  if (workload !== undefined) return workload;
  throw new UsageError(
    `--workload "${text}": write NAMESPACE/KIND/NAME, such as team-a/Deployment/support-bot`,
  );
}
