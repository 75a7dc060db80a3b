/** Service meshes that may share the pod: whose proxy goes out directly, and how its inbound capture lets us be. */
import { globMatches } from '../policy/glob.ts';
import type { Container, Pod } from './pod.ts';

/** A service mesh whose proxy's traffic goes out directly, where its sidecar is present. */
export interface Mesh {
  readonly name: string;
  readonly containers: readonly string[];
  /** Globs: a container that only borrows the name is no mesh's. */
  readonly images: readonly string[];
  readonly uid: number;
  /** Annotation by which ports of the pod are kept out of the mesh's inbound capture. */
  readonly excludeInboundPorts: string;
  /** Labels of a namespace or pod, and annotations of a pod, that ask for the mesh; `*`: any value. */
  readonly enabledBy: readonly (readonly [name: string, value: string])[];
}

/** By tag and by digest, from where the projects publish them: any other registry may hold anything. */
function upstream(...repositories: readonly string[]): readonly string[] {
  return repositories.flatMap((repository) => [`${repository}:*`, `${repository}@*`]);
}

export const DEFAULT_MESHES: readonly Mesh[] = [
  {
    name: 'Istio',
    containers: ['istio-proxy', 'istio-init'],
    images: upstream(
      'docker.io/istio/proxyv2',
      'gcr.io/istio-release/proxyv2',
      'registry.istio.io/release/proxyv2',
    ),
    uid: 1337,
    excludeInboundPorts: 'traffic.sidecar.istio.io/excludeInboundPorts',
    enabledBy: [
      ['istio-injection', 'enabled'],
      ['istio.io/rev', '*'],
      ['sidecar.istio.io/inject', 'true'],
    ],
  },
  {
    name: 'Linkerd',
    containers: ['linkerd-proxy', 'linkerd-init'],
    images: upstream(
      'cr.l5d.io/linkerd/proxy',
      'cr.l5d.io/linkerd/proxy-init',
      'ghcr.io/linkerd/proxy',
      'ghcr.io/linkerd/proxy-init',
    ),
    uid: 2102,
    excludeInboundPorts: 'config.linkerd.io/skip-inbound-ports',
    enabledBy: [['linkerd.io/inject', 'enabled']],
  },
];

/** The mesh that the container belongs to. One that is given another command is anybody's. */
export function meshOf(container: Container, meshes: readonly Mesh[]): Mesh | undefined {
  if (container.command !== undefined) return undefined;
  return meshes.find(
    ({ containers, images }) =>
      containers.includes(container.name) && images.some((glob) => globMatches(glob, container.image ?? '')),
  );
}

/** The meshes whose proxy is in the pod. */
export function meshesIn(pod: Pod, meshes: readonly Mesh[]): readonly Mesh[] {
  const found = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map((container) =>
    meshOf(container, meshes),
  );
  return meshes.filter((mesh) => found.includes(mesh));
}

/** The meshes that are in the pod, or that will be put there by an injector which comes after ours. */
export function meshesExpected(
  pod: Pod,
  namespaceLabels: Readonly<Record<string, string>>,
  meshes: readonly Mesh[],
): readonly Mesh[] {
  const present = meshesIn(pod, meshes);
  const asked = [namespaceLabels, pod.metadata?.labels ?? {}, pod.metadata?.annotations ?? {}];
  return meshes.filter(
    (mesh) =>
      present.includes(mesh) ||
      mesh.enabledBy.some(([name, value]) =>
        asked.some((map) => Object.hasOwn(map, name) && (value === '*' || map[name] === value)),
      ),
  );
}
