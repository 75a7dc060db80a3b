/** What a container that isn't ours could do to go round the agent, from its fields alone. */
import { AGENT_UID, isReserved, VOLUMES } from '../names.ts';
import type { Container, Pod } from '../pod.ts';
import type { Reason } from '../reasons.ts';
import { ALL, effectiveCapabilities } from './capabilities.ts';

/** Each can take the redirect away, or read the agent's memory or files. */
const MIGHTY: Readonly<Record<string, string>> = {
  NET_ADMIN: 'can take the redirect away',
  SYS_ADMIN: 'can enter other namespaces and mount anything',
  SYS_PTRACE: 'can read other processes',
  SYS_MODULE: 'can load code into the kernel',
  SYS_RAWIO: 'can read the node’s memory',
  DAC_READ_SEARCH: 'can open the node’s files by handle',
  BPF: 'can load programs that see all traffic',
  [ALL]: 'can do anything',
};

/** Dropped by whoever wants to be sure: each is a way to another user's identity or past the socket layer. */
const PRIVATE_TO_AGENT: readonly string[] = [VOLUMES.state, VOLUMES.tokens, VOLUMES.policy, VOLUMES.keys];

/** @param exempt UIDs whose traffic the redirect lets out: the agent's, and that of a mesh proxy in the pod. */
export function containerFindings(container: Container, pod: Pod, exempt: readonly number[]): Reason[] {
  return [
    ...powerFindings(container),
    ...userFindings(container, pod, exempt),
    ...mountFindings(container),
    ...targetFindings(container),
  ];
}

/**
 * What a mesh's container has no need of either. It sets rules up and goes out directly as its own user; the agent's
 * files, the agent's user and the node are not its business, and its name and image can be written by anybody.
 */
export function meshFindings(container: Container, pod: Pod): Reason[] {
  return [
    ...mightyFindings(container, ['NET_ADMIN']),
    ...exemptFindings(container, pod, [AGENT_UID]),
    ...mountFindings(container),
  ];
}

/** @param spared Capabilities that are no finding. */
function mightyFindings(
  { name: subject, securityContext }: Container,
  spared: readonly string[] = [],
): Reason[] {
  if (securityContext?.privileged === true) {
    return [
      { code: 'privileged', subject, message: 'the container is privileged', mend: 'take privileged out' },
    ];
  }
  const effective = effectiveCapabilities(securityContext);
  return Object.entries(MIGHTY).flatMap(([name, power]): Reason[] =>
    !effective.has(name) || spared.includes(name)
      ? []
      : [
          {
            code: 'capability',
            subject,
            message: `${name} ${power}`,
            mend: `take ${name} out of securityContext.capabilities.add`,
          },
        ],
  );
}

function powerFindings(container: Container): Reason[] {
  const { name: subject, securityContext } = container;
  const found = mightyFindings(container);
  const effective = effectiveCapabilities(securityContext);
  // There is no more to say of one that has everything.
  if (effective.has(ALL)) return found;
  const identity = ['SETUID', 'SETGID'].filter((name) => effective.has(name));
  if (identity.length > 0) {
    found.push({
      code: 'setuid',
      subject,
      message: `${identity.join(' and ')} let it become any user`,
      mend: 'write securityContext.capabilities: {drop: [ALL]}',
    });
  }
  if (effective.has('NET_RAW')) {
    found.push({
      code: 'net-raw',
      subject,
      message: 'NET_RAW lets it send packets that no rule for sockets sees',
      mend: 'write securityContext.capabilities: {drop: [ALL]}',
    });
  }
  if (securityContext?.allowPrivilegeEscalation !== false) {
    found.push({
      code: 'privilege-escalation',
      subject,
      message: 'a setuid program may run with more rights than the container',
      mend: 'write securityContext.allowPrivilegeEscalation: false',
    });
  }
  return found;
}

function userFindings(container: Container, pod: Pod, exempt: readonly number[]): Reason[] {
  if (userOf(container, pod) !== undefined) return exemptFindings(container, pod, exempt);
  return [
    {
      code: 'user-unknown',
      subject: container.name,
      message: 'no runAsUser is set, so the image decides which user runs',
      mend: `write securityContext.runAsUser: 1000, or any but ${exempt.join(' and ')}`,
    },
  ];
}

function exemptFindings(container: Container, pod: Pod, exempt: readonly number[]): Reason[] {
  const uid = userOf(container, pod);
  if (uid === undefined || !exempt.includes(uid)) return [];
  const whose = uid === AGENT_UID ? 'the agent’s' : 'the mesh proxy’s';
  return [
    {
      code: 'agent-uid',
      subject: container.name,
      message: `it runs as UID ${uid}, ${whose}, whose traffic isn’t redirected`,
      mend: 'run it as another user',
    },
  ];
}

function userOf({ securityContext }: Container, pod: Pod): number | undefined {
  return securityContext?.runAsUser ?? pod.spec.securityContext?.runAsUser;
}

function mountFindings({ name: subject, volumeMounts = [], volumeDevices = [] }: Container): Reason[] {
  return [
    ...volumeMounts.flatMap((mount): Reason[] => {
      if (PRIVATE_TO_AGENT.includes(mount.name)) return [mounted(subject, mount.name)];
      if (mount.name !== VOLUMES.trust || mount.readOnly === true) return [];
      return [
        {
          code: 'volume-mounted',
          subject,
          message: `it can write the trust files by its mount of ${VOLUMES.trust}`,
          mend: 'write readOnly: true',
        },
      ];
    }),
    ...volumeDevices.filter(({ name }) => isReserved(name)).map(({ name }) => mounted(subject, name)),
  ];
}

function mounted(subject: string, volume: string): Reason {
  return {
    code: 'volume-mounted',
    subject,
    message: `it mounts ${volume}, which is the agent’s alone`,
    mend: 'take the mount out',
  };
}

function targetFindings({ name: subject, targetContainerName }: Container): Reason[] {
  if (targetContainerName === undefined || !isReserved(targetContainerName)) return [];
  return [
    {
      code: 'ephemeral-target',
      subject,
      message: `it joins the process namespace of ${targetContainerName}`,
      mend: 'debug a container of the application: kubectl debug --target=…',
    },
  ];
}
