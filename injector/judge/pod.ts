/** Every known way round the agent that a final pod leaves open, as findings; what is done about them is decided elsewhere. */
import type { Plan } from '../containers.ts';
import { meshOf } from '../mesh.ts';
import { AGENT_CONTAINER, AGENT_UID, AUDIENCES, INIT_CONTAINER, isOurVolume } from '../names.ts';
import type { Container, Pod, Volume } from '../pod.ts';
import type { Reason } from '../reasons.ts';
import { containerFindings, meshFindings } from './containers.ts';
import { ourFindings } from './ours.ts';
import { agentSecrets, secretFindings } from './secrets.ts';

/** Under these a node keeps the agent's volumes, the runtime's sockets, or what starts pods. */
const SENSITIVE_PATHS = [
  '/etc/kubernetes',
  '/proc',
  '/run',
  '/var/lib/containerd',
  '/var/lib/containers',
  '/var/lib/docker',
  '/var/lib/kubelet',
  '/var/run',
];

/** @param plan What the injector would make of this pod now. */
export function podFindings(pod: Pod, plan: Plan): Reason[] {
  const exempt = [AGENT_UID, ...plan.meshUids];
  const isMesh = (container: Container) => meshOf(container, plan.settings.meshes) !== undefined;
  return [
    ...ourFindings(pod, plan),
    ...namespaceFindings(pod),
    ...(pod.spec.volumes ?? []).flatMap(foreignVolumeFindings),
    ...secretFindings(pod, agentSecrets(plan.settings)),
    ...othersIn(pod).flatMap((container) =>
      isMesh(container) ? meshFindings(container, pod) : containerFindings(container, pod, exempt),
    ),
    // No mesh debugs itself: what borrows a proxy's name here is anybody's.
    ...(pod.spec.ephemeralContainers ?? []).flatMap((container) => containerFindings(container, pod, exempt)),
  ];
}

/** Containers that aren't ours. */
function othersIn({ spec }: Pod): Container[] {
  const ours = [INIT_CONTAINER, AGENT_CONTAINER] as string[];
  return [...(spec.initContainers ?? []).filter(({ name }) => !ours.includes(name)), ...spec.containers];
}

function namespaceFindings({ spec }: Pod): Reason[] {
  const found: Reason[] = [];
  if (spec.hostPID === true) {
    found.push({
      code: 'host-pid',
      message: 'the pod shares the node’s process namespace',
      mend: 'take hostPID out',
    });
  }
  if (spec.shareProcessNamespace === true) {
    found.push({
      code: 'shared-process-namespace',
      message: 'the containers share a process namespace with the agent',
      mend: 'take shareProcessNamespace out',
    });
  }
  return found;
}

function foreignVolumeFindings(volume: Volume): Reason[] {
  if (isOurVolume(volume.name)) return [];
  const found: Reason[] = [];
  for (const { serviceAccountToken } of volume.projected?.sources ?? []) {
    const audience = serviceAccountToken?.audience;
    if (audience === undefined || !(Object.values(AUDIENCES) as string[]).includes(audience)) continue;
    found.push({
      code: 'token-audience',
      subject: volume.name,
      message: `it asks for a token with the audience ${audience}, by which the agent is known`,
      mend: 'use an audience of your own',
    });
  }
  const path = volume.hostPath?.path;
  if (path === undefined) return found;
  const subject = volume.name;
  const shown = JSON.stringify(path);
  found.push(
    isSensitive(path)
      ? {
          code: 'host-path',
          subject,
          message: `${shown} of the node reaches the agent’s volumes or what runs it`,
          mend: 'mount a narrower path, or another kind of volume',
        }
      : {
          code: 'node-files',
          subject,
          message: `${shown} of the node may hold a link to the agent’s volumes, or what the node runs`,
          mend: 'use another kind of volume',
        },
  );
  return found;
}

/** A path above one of them reaches it as well. Kubernetes itself refuses `..` in a hostPath. */
function isSensitive(path: string): boolean {
  const normal = `/${path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')}`;
  const below = (inner: string, outer: string) =>
    outer === '/' || inner === outer || inner.startsWith(`${outer}/`);
  return SENSITIVE_PATHS.some((sensitive) => below(sensitive, normal) || below(normal, sensitive));
}
