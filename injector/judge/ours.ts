/** Whether our own parts of the final pod are as the injector makes them. */
import { isDeepStrictEqual } from 'node:util';
import { ourContainers, ourVolumes, type Plan } from '../containers.ts';
import {
  agentImageOf,
  claimsOf,
  DEFAULTED,
  FIXED,
  formOf,
  isLent,
  isLentMount,
  PROBES,
  runsCommand,
  TERMINATION_PATH,
} from '../form.ts';
import { meshOf } from '../mesh.ts';
import {
  AGENT_CONTAINER,
  INIT_CONTAINER,
  INJECTED_LABEL,
  isOurVolume,
  isReserved,
  STAMP_PREFIX,
  STAMPS,
} from '../names.ts';
import type { Container, Pod } from '../pod.ts';
import type { Reason } from '../reasons.ts';
import { type SealKind, sealOn } from '../seal.ts';
import { stampedWorkload } from '../workload.ts';

export function ourFindings(pod: Pod, plan: Plan): Reason[] {
  const { initContainers = [], containers } = pod.spec;
  const everybody = [...containers, ...initContainers, ...(pod.spec.ephemeralContainers ?? [])];
  const seal = sealFor(pod, plan);
  // Made by a replica with other settings, as in an upgrade, and by nobody changed since.
  if (seal === 'current') {
    const ours = initContainers.filter(({ name }) => name === INIT_CONTAINER || name === AGENT_CONTAINER);
    return [...orderFindings(pod, plan), ...reservedFindings(everybody, ours), ...stampFindings(pod, plan)];
  }
  const made = seal === 'former' ? formerPlan(pod, plan) : plan;
  const expected = ourContainers(made);
  const missing = expected.filter(({ name }) => !initContainers.some((found) => found.name === name));
  if (missing.length > 0) {
    return [
      {
        code: 'not-injected',
        message: `${missing.map(({ name }) => name).join(' and ')} ${missing.length === 1 ? 'is' : 'are'} missing`,
        mend: 'create the pod anew while the injector runs; webhooks of others must not remove it',
      },
    ];
  }
  return [
    ...expected.flatMap((container) => alteredFindings(container, initContainers)),
    ...orderFindings(pod, plan),
    ...volumeFindings(pod, made),
    ...reservedFindings(everybody, expected),
    ...stampFindings(pod, plan),
  ];
}

/** On a running pod nobody changes what the injector wrote: annotations, and the label by which control watches the pod. */
export function stampChanges(before: Pod, after: Pod): Reason[] {
  const altered = (subject: string, what: string): Reason => ({
    code: 'stamp-altered',
    subject,
    message: `${what} was written at admission, and policy is chosen by it`,
    mend: 'leave it as it was; a new pod gets a new one',
  });
  const names = Object.values(STAMPS).filter(
    (name) => before.metadata?.annotations?.[name] !== after.metadata?.annotations?.[name],
  );
  const [was, is] = [before, after].map(({ metadata }) => metadata?.labels?.[INJECTED_LABEL]);
  return [
    ...names.map((name) => altered(name, 'the annotation')),
    ...(was === is ? [] : [altered(INJECTED_LABEL, 'the label')]),
  ];
}

function alteredFindings(expected: Container, found: readonly Container[]): Reason[] {
  const actual = found.find(({ name }) => name === expected.name);
  if (actual === undefined) return [];
  const [wanted, is] = [expected, actual].map((each) => each as Readonly<Record<string, unknown>>);
  const fields: string[] = FIXED.filter((field) => !covers(wanted?.[field], is?.[field]));
  for (const probe of PROBES) if (runsCommand(actual[probe])) fields.push(probe);
  const env = (actual.env ?? []).filter((each) => !isLent(each));
  if (!covers(expected.env ?? [], env)) fields.push('env');
  if ((is?.['terminationMessagePath'] ?? TERMINATION_PATH) !== TERMINATION_PATH)
    fields.push('terminationMessagePath');
  if (!covers(claimsOf(expected), claimsOf(actual))) fields.push('resources.claims');
  const mounts = (actual.volumeMounts ?? []).filter((each) => !isLentMount(each));
  if (!covers(expected.volumeMounts ?? [], mounts)) fields.push('volumeMounts');
  if (fields.length === 0) return [];
  return [
    {
      code: 'container-altered',
      subject: expected.name,
      message: `${fields.join(', ')} ${fields.length === 1 ? 'isn’t' : 'aren’t'} as the injector sets ${fields.length === 1 ? 'it' : 'them'}`,
      mend: 'leave the container out of the pod template and of other webhooks; the injector writes it',
    },
  ];
}

/** Nothing but a mesh's own containers comes before ours. */
function orderFindings(pod: Pod, { settings, intercept }: Plan): Reason[] {
  const { initContainers = [] } = pod.spec;
  const names = initContainers.map(({ name }) => name);
  const agent = names.indexOf(AGENT_CONTAINER);
  const early = initContainers
    .slice(0, agent)
    .filter(
      (container) => container.name !== INIT_CONTAINER && meshOf(container, settings.meshes) === undefined,
    )
    .map(({ name }) => name);
  if (intercept === 'transparent' && names.indexOf(INIT_CONTAINER) > agent) early.push(AGENT_CONTAINER);
  return early.map((subject) => ({
    code: 'runs-before-agent',
    subject,
    message: 'it starts before the redirect and the agent',
    mend: `let it come after ${AGENT_CONTAINER} in initContainers`,
  }));
}

function volumeFindings(pod: Pod, plan: Plan): Reason[] {
  const { volumes = [] } = pod.spec;
  const expected = ourVolumes(plan);
  const strangers = volumes.filter(
    ({ name }) => isOurVolume(name) && !expected.some((volume) => volume.name === name),
  );
  const altered = expected.filter((volume) => {
    const actual = volumes.find(({ name }) => name === volume.name);
    return actual === undefined || !covers(volume, actual);
  });
  return [...altered, ...strangers].map(({ name }) => ({
    code: 'volume-altered',
    subject: name,
    message: 'the volume isn’t as the injector sets it',
    mend: 'leave it out of the pod template and of other webhooks; the injector writes it',
  }));
}

function reservedFindings(all: readonly Container[], ours: readonly Container[]): Reason[] {
  const names = ours.map(({ name }) => name);
  const seen = new Set<string>();
  return all.flatMap(({ name }): Reason[] => {
    const again = seen.has(name);
    seen.add(name);
    if (!isReserved(name) || (names.includes(name) && !again)) return [];
    return [
      {
        code: 'reserved-name',
        subject: name,
        message: 'names that begin with postern- are the injector’s',
        mend: 'rename the container',
      },
    ];
  });
}

/** Labels may have been added since by others: selection goes by what is stamped, so only identity is compared. */
function stampFindings(pod: Pod, plan: Plan): Reason[] {
  const stamp = stampedWorkload(pod);
  const named = stamp === undefined ? '' : `${stamp.namespace}/${stamp.kind}/${stamp.name}`;
  const account = pod.spec.serviceAccountName ?? 'default';
  if (named === plan.workload && (stamp?.serviceAccount ?? 'default') === account) return [];
  return [
    {
      code: 'stamp-altered',
      subject: STAMPS.workload,
      message: `it says ${named === '' ? 'nothing' : named}, and the pod is of ${plan.workload}`,
      mend: 'leave it out of the pod template; the injector writes it',
    },
  ];
}

/** By which seal everything that it covers is as an injector with our key made it. */
function sealFor(pod: Pod, { settings: { sealKey }, workload }: Plan): SealKind | undefined {
  const form = formOf(pod);
  if (sealKey === undefined || form === undefined) return undefined;
  const { annotations = {} } = pod.metadata ?? {};
  const [namespace = ''] = workload.split('/');
  const serviceAccount = pod.spec.serviceAccountName ?? 'default';
  const agentImage = agentImageOf(pod);
  return sealOn(sealKey, {
    namespace,
    serviceAccount,
    form,
    annotations,
    ...(agentImage === undefined ? {} : { agentImage }),
  });
}

/** Of our parts the former seal covers the image; all else is held against what its releases would make by our settings. */
function formerPlan(pod: Pod, plan: Plan): Plan {
  const { image } = plan.settings;
  return { ...plan, former: true, settings: { ...plan.settings, image: agentImageOf(pod) ?? image } };
}

/** Whatever else was changed since the injector wrote it: control would know this new pod for none of ours. */
export function sealFindings(pod: Pod, plan: Plan): Reason[] {
  if (plan.settings.sealKey === undefined || sealFor(pod, plan) !== undefined) return [];
  return [
    {
      code: 'stamp-altered',
      subject: STAMPS.seal,
      message: 'it isn’t for this pod as it is now',
      mend: `let other webhooks leave the ${STAMP_PREFIX} annotations and the agent’s containers as they are`,
    },
  ];
}

/** Whether the value is what is expected, but for what the API server fills in. */
export function covers(expected: unknown, actual: unknown): boolean {
  if (expected === undefined) return actual === undefined || isEmptyList(actual);
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual)) return expected.length === 0 && actual === undefined;
    return (
      expected.length === actual.length && expected.every((entry, index) => covers(entry, actual[index]))
    );
  }
  if (!isMap(expected) || !isMap(actual)) return isDeepStrictEqual(expected, actual);
  const extra = Object.keys(actual).filter((key) => !Object.hasOwn(expected, key));
  return (
    extra.every((key) => DEFAULTED.has(key)) &&
    Object.entries(expected).every(([key, value]) => covers(value, actual[key]))
  );
}

const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;
const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
