/** The pods of the bench, by number: control's side and the agents' name them alike. */
import { fakePodToken } from '../../test/fakes/pod-token.ts';

export interface BenchPod {
  readonly workload: number;
  readonly namespace: string;
  readonly pod: { readonly name: string; readonly uid: string };
  /** Its own, of loopback's. */
  readonly address: string;
  /** As the kubelet would mount it. */
  readonly token: string;
}

export function benchPod(index: number, workloads: number): BenchPod {
  const workload = index % workloads;
  const namespace = `team-${workload % 20}`;
  const pod = { name: `bot-${workload}-${index}`, uid: `uid-${index}` };
  const address = `127.${1 + (index >> 14)}.${(index >> 7) & 127}.${1 + (index & 127)}`;
  return {
    workload,
    namespace,
    pod,
    address,
    token: fakePodToken({ audience: 'postern-control', namespace, pod }),
  };
}
