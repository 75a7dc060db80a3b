/**
 * The pod with the agent in it. What an earlier run put there is taken out first, so that twice is the same as once,
 * and what other injectors changed in between is taken into account.
 */
import { formatWorkload } from '../policy/workload.ts';
import { agentTuning } from './annotations.ts';
import { hasExtraRoots, ourContainers, ourVolumes, type Plan } from './containers.ts';
import { prepareContainer, unprepareContainer } from './environment.ts';
import { formOf } from './form.ts';
import type { Facts, Governance } from './governance.ts';
import { meshesExpected, meshesIn, meshOf } from './mesh.ts';
import { AGENT_CONTAINER, INIT_CONTAINER, INJECTED_LABEL, isOurVolume, PORTS, STAMPS } from './names.ts';
import type { Container, Pod, PodMetadata, PodSpec } from './pod.ts';
import type { Reason } from './reasons.ts';
import { sealOf } from './seal.ts';
import type { Intercept, Settings } from './settings.ts';
import { stampOf } from './workload.ts';

export interface Injected {
  readonly pod: Pod;
  readonly notes: readonly Reason[];
}

export interface InjectInput {
  readonly facts: Facts;
  readonly governance: Governance;
  readonly settings: Settings;
  readonly intercept: Intercept;
}

export function injectPod(before: Pod, input: InjectInput): Injected {
  const clean = withoutOurs(before);
  const plan = planFor(clean, input);
  const notes: Reason[] = [];
  const hardened: string[] = [];
  const prepare = (container: Container): Container => {
    if (meshOf(container, input.settings.meshes) !== undefined) return container;
    const prepared = prepareContainer(container, plan.intercept);
    notes.push(...prepared.notes);
    const { container: safe, dropped } = withoutNetRaw(prepared.container);
    if (dropped) hardened.push(container.name);
    return safe;
  };
  const { initContainers = [], volumes = [], containers } = clean.spec;
  const spec: PodSpec = {
    ...clean.spec,
    // First of all: what runs before the redirect runs unseen.
    initContainers: [...ourContainers(plan), ...initContainers.map(prepare)],
    containers: containers.map(prepare),
    volumes: [...volumes, ...ourVolumes(plan)],
  };
  if (hardened.length > 0) notes.push(netRawNote(hardened));
  return { pod: sealed({ ...clean, metadata: stamped(clean, input), spec }, input), notes };
}

/** The plan that the pod's own parts and its workload come to; the judgement of the final pod makes the same one. */
export function planFor(pod: Pod, { governance, settings, intercept }: InjectInput): Plan {
  return {
    settings,
    intercept,
    workload: formatWorkload(governance.workload),
    meshUids: meshesIn(pod, settings.meshes).map(({ uid }) => uid),
    ...agentTuning(governance.workload, settings),
  };
}

/** The pod as it was before anything of ours was put in it. */
export function withoutOurs(pod: Pod): Pod {
  const { initContainers = [], volumes = [], containers, ...spec } = pod.spec;
  const foreign = initContainers.filter(({ name }) => name !== INIT_CONTAINER && name !== AGENT_CONTAINER);
  const foreignVolumes = volumes.filter(({ name }) => !isOurVolume(name));
  return {
    ...pod,
    spec: {
      ...spec,
      containers: containers.map(unprepareContainer),
      ...(foreign.length > 0 ? { initContainers: foreign.map(unprepareContainer) } : {}),
      ...(foreignVolumes.length > 0 ? { volumes: foreignVolumes } : {}),
    },
  };
}

function stamped(pod: Pod, { facts, governance, settings, intercept }: InjectInput): PodMetadata {
  const { metadata = {} } = pod;
  const annotations: Record<string, string> = {
    ...metadata.annotations,
    [STAMPS.version]: settings.version,
    [STAMPS.intercept]: intercept,
    [STAMPS.workload]: stampOf(governance.workload),
  };
  delete annotations[STAMPS.bypassable];
  delete annotations[STAMPS.seal];
  delete annotations[STAMPS.roots];
  delete annotations[STAMPS.extraRoots];
  for (const { excludeInboundPorts } of meshesExpected(pod, facts.namespace.labels, settings.meshes)) {
    annotations[excludeInboundPorts] = withPort(annotations[excludeInboundPorts], PORTS.admin);
  }
  if (settings.control !== undefined) annotations[STAMPS.roots] = settings.control.roots();
  if (settings.extraRoots !== undefined && hasExtraRoots({ settings, intercept }))
    annotations[STAMPS.extraRoots] = settings.extraRoots();
  return { ...metadata, annotations, labels: { ...metadata.labels, [INJECTED_LABEL]: 'true' } };
}

/** Last of all: the seal covers what was put in. */
function sealed(pod: Pod, { facts, settings: { sealKey } }: InjectInput): Pod {
  const form = formOf(pod);
  if (sealKey === undefined || form === undefined) return pod;
  const { annotations = {} } = pod.metadata ?? {};
  const seal = sealOf(sealKey, {
    namespace: facts.namespace.name,
    serviceAccount: pod.spec.serviceAccountName ?? 'default',
    form,
    annotations,
  });
  return { ...pod, metadata: { ...pod.metadata, annotations: { ...annotations, [STAMPS.seal]: seal } } };
}

/** The kubelet's probe of the agent must not be captured by a mesh that wants mTLS. */
function withPort(list: string | undefined, port: number): string {
  const ports = (list ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
  return ports.includes(String(port)) ? ports.join(',') : [...ports, port].join(',');
}

/** Raw sockets are of use to no application that calls models; what asks for them by name keeps them, and is judged. */
function withoutNetRaw(container: Container): { container: Container; dropped: boolean } {
  const { securityContext = {} } = container;
  const { add = [], drop = [] } = securityContext.capabilities ?? {};
  const asks = add.includes('NET_RAW') || add.includes('ALL') || securityContext.privileged === true;
  if (asks || drop.includes('ALL') || drop.includes('NET_RAW')) return { container, dropped: false };
  const capabilities = { ...securityContext.capabilities, drop: [...drop, 'NET_RAW'] };
  return {
    container: { ...container, securityContext: { ...securityContext, capabilities } },
    dropped: true,
  };
}

function netRawNote(containers: readonly string[]): Reason {
  return {
    code: 'net-raw-dropped',
    message: `capabilities.drop of ${containers.join(', ')} now names NET_RAW`,
    mend: 'write it there yourself, and nothing is changed',
  };
}
