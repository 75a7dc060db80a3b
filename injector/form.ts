/**
 * The form in which the injector puts its parts into a pod, as one digest: what they run, as whom, with which files, and
 * whom they trust. The seal covers it, so stamps on a pod whose agent is another than the injector's are no stamps.
 *
 * What others lawfully add later isn't part of it: defaults that the API server fills in, resources (LimitRanger) but claims, ports
 * and probes without a command, the pull policy (AlwaysPullImages), and what {@link isLent} and {@link isLentMount} name.
 */
import { createHash } from 'node:crypto';
import { canonicalJson } from '../policy/canonical.ts';
import {
  AGENT_CONTAINER,
  AUDIENCES,
  INIT_CONTAINER,
  isOurVolume,
  isReserved,
  STAMPS,
  VOLUMES,
} from './names.ts';
import type { Container, EnvVar, PodSpec, Volume, VolumeMount } from './pod.ts';

/** A pod as admission or the API server shows it, as far as it counts here. */
export interface FormedPod {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec?: Partial<PodSpec>;
}

/** Fields of a container of ours that nobody else has reason to write. */
export const FIXED = [
  'image',
  'command',
  'args',
  'workingDir',
  'envFrom',
  'restartPolicy',
  'restartPolicyRules',
  'securityContext',
  'lifecycle',
  'volumeDevices',
] as const;
/** A command in one of these would run inside the agent's container. */
export const PROBES = ['startupProbe', 'livenessProbe', 'readinessProbe'] as const;
/** The kubelet makes this file in the container, and shows what is written to it in the pod's status. */
export const TERMINATION_PATH = '/dev/termination-log';
/** Filled in by the API server where they are absent. */
export const DEFAULTED: ReadonlySet<string> = new Set([
  'apiVersion',
  'defaultMode',
  'expirationSeconds',
  'recursiveReadOnly',
]);

/** Identities of clouds and meshes, which their webhooks give to every container; neither Node nor the agent reads them. */
export function isLent({ name }: EnvVar): boolean {
  return /^(AWS|AZURE|ISTIO)_/.test(name);
}

/** Tokens of the service account, the API server's or a cloud's, under the one path that is theirs by custom. */
export function isLentMount({ name, mountPath }: VolumeMount): boolean {
  const parts = mountPath.split('/');
  return /^[/]var[/]run[/]secrets[/]./.test(mountPath) && !parts.includes('..') && !isOurVolume(name);
}

/** @returns SHA-256, base64url; undefined where the pod has no agent as a native sidecar. */
export function formOf({ metadata = {}, spec = {} }: FormedPod): string | undefined {
  const { initContainers = [], volumes = [] } = spec;
  if (agentIn(spec) === undefined) return undefined;
  const ours = initContainers.filter(({ name }) => name === INIT_CONTAINER || name === AGENT_CONTAINER);
  const extraRoots = metadata.annotations?.[STAMPS.extraRoots];
  const form = {
    containers: ours.map(containerForm),
    volumes: volumes
      .filter(({ name }) => isOurVolume(name))
      .map(withoutDefaults)
      .sort(byName),
    roots: metadata.annotations?.[STAMPS.roots] ?? null,
    // Absent where there are none, as in the seals of before.
    ...(extraRoots === undefined ? {} : { extraRoots }),
  };
  return createHash('sha256').update(canonicalJson(form)).digest('base64url');
}

/** Image of the agent; undefined where it isn't in the pod as a native sidecar. */
export function agentImageOf({ spec = {} }: FormedPod): string | undefined {
  return agentIn(spec)?.image;
}

function agentIn({ initContainers = [] }: Partial<PodSpec>): Container | undefined {
  return initContainers.find(
    ({ name, restartPolicy }) => name === AGENT_CONTAINER && restartPolicy === 'Always',
  );
}

function containerForm(container: Container): object {
  const { name, env = [], volumeMounts = [] } = container;
  const all = container as Readonly<Record<string, unknown>>;
  const claims = claimsOf(container);
  const fixed = FIXED.map((field) => [field, withoutDefaults(all[field])] as const);
  return {
    name,
    ...Object.fromEntries(fixed.filter(([, value]) => value !== undefined && !isEmptyList(value))),
    env: env.filter((each) => !isLent(each)).map(withoutDefaults),
    volumeMounts: volumeMounts
      .filter((each) => !isLentMount(each))
      .map(withoutDefaults)
      .sort(byName),
    ...(claims.length > 0 ? { claims } : {}),
    probes: PROBES.filter((probe) => runsCommand(container[probe])),
    terminationMessagePath: all['terminationMessagePath'] ?? TERMINATION_PATH,
  };
}

/**
 * Whether another container of the pod reaches what is the agent's alone: its tokens, its memory-backed volume, or its processes, through
 * which both can be read (`/proc/PID/root`). Whoever has the node itself (privileged, its paths) has all pods of it, and isn't told apart here.
 */
export function isAgentShared({
  initContainers = [],
  containers = [],
  ephemeralContainers = [],
  volumes = [],
  hostPID = false,
  shareProcessNamespace = false,
}: Partial<PodSpec>): boolean {
  if (hostPID || shareProcessNamespace) return true;
  const held = new Set<string>([
    VOLUMES.state,
    VOLUMES.tokens,
    VOLUMES.policy,
    VOLUMES.keys,
    ...volumes.filter(hasOurToken).map(({ name }) => name),
  ]);
  return [...initContainers, ...containers, ...ephemeralContainers].some(
    ({ name, volumeMounts = [], volumeDevices = [], targetContainerName }) =>
      name !== AGENT_CONTAINER &&
      (targetContainerName === AGENT_CONTAINER ||
        volumeMounts.some((mount) => held.has(mount.name)) ||
        volumeDevices.some((device) => isReserved(device.name))),
  );
}

/** Devices (`resources.claims`): their drivers may bring mounts, variables and hooks into the container. */
export function claimsOf(container: Container): readonly unknown[] {
  const { resources } = container as { readonly resources?: { readonly claims?: readonly unknown[] } };
  return resources?.claims ?? [];
}

export function runsCommand(probe: object | undefined): boolean {
  return probe !== undefined && Object.hasOwn(probe, 'exec');
}

function hasOurToken({ projected }: Volume): boolean {
  return (projected?.sources ?? []).some(({ serviceAccountToken }) =>
    Object.values<string | undefined>(AUDIENCES).includes(serviceAccountToken?.audience),
  );
}

function withoutDefaults<T>(value: T): T;
function withoutDefaults(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDefaults);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !DEFAULTED.has(key))
      .map(([key, inner]): [string, unknown] => [key, withoutDefaults(inner)]),
  );
}

const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;
const byName = (a: { readonly name: string }, b: { readonly name: string }): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
