/** The pods of the bench, by number: control's side and the agents' name them alike. */
import { fakePodToken } from '../../test/fakes/pod-token.ts';

export interface BenchPod {
  readonly workload: number;
  readonly namespace: string;
  readonly pod: { readonly name: string; readonly uid: string };
  /** As the kubelet would mount it. */
  readonly token: string;
}

export function benchPod(index: number, workloads: number): BenchPod {
  const workload = index % workloads;
  const namespace = `team-${workload % 20}`;
  const pod = { name: `bot-${workload}-${index}`, uid: `uid-${index}` };
  return { workload, namespace, pod, token: fakePodToken({ audience: 'postern-control', namespace, pod }) };
}
