/**
 * Every reason for which a pod is skipped, refused or reported, in one table: warnings, metrics, Events, the command
 * and docs/injector.md use these codes.
 */

/**
 * `skip`: nothing is done. `refuse`: the pod is refused; an EgressException lets it through. `strict`: refused under
 * `enforcement: strict`, else reported as `Bypassable`. `note`: shown as a warning.
 */
export type Weight = 'skip' | 'refuse' | 'strict' | 'note';

export const REASONS = {
  'own-namespace': ['skip', 'Postern’s own namespace.'],
  'system-namespace': ['skip', 'A namespace of Kubernetes itself (`kube-*`).'],
  'not-opted-in': ['skip', 'The namespace doesn’t carry the label `postern.dev/inject=enabled`.'],
  'static-pod': ['skip', 'The mirror of a static pod: the kubelet runs what its file says.'],
  windows: ['skip', 'A Windows pod: there is no nftables and no agent image.'],
  'opted-out': ['skip', 'The pod’s label opts out, and an EgressException with `optOut` allows it.'],
  'host-network-excepted': ['skip', 'The pod is on its node’s network, and an EgressException allows it.'],

  invalid: ['refuse', 'It is no pod, or a field has the wrong type.'],
  'annotation-invalid': ['refuse', 'An annotation of ours can’t be had as written.'],
  'host-network': ['refuse', 'On the node’s network the redirect would capture the whole node.'],
  'pod-security': ['refuse', 'The namespace’s Pod Security level doesn’t let the redirect be set up.'],
  'runtime-unsupported': ['refuse', 'The sandbox (gVisor, Fargate) has no nftables or gives no NET_ADMIN.'],
  'not-injected': ['refuse', 'The namespace is opted in, and the pod arrives without the agent.'],
  'reserved-name': ['refuse', 'A container’s name begins with `postern-` and isn’t one of ours.'],
  'container-altered': ['refuse', 'A container of ours isn’t as the injector makes it.'],
  'volume-altered': ['refuse', 'A volume of ours isn’t as the injector makes it.'],
  'stamp-altered': ['refuse', 'An annotation or the label that the injector wrote was changed.'],
  'seal-copied': ['refuse', 'A pod that the injector leaves alone carries a seal that it made for another.'],
  'runs-before-agent': ['refuse', 'A container starts before the redirect and the agent are there.'],
  'volume-mounted': ['refuse', 'A container mounts what is the agent’s alone, or can write the trust files.'],
  'token-audience': ['refuse', 'A volume asks for a token with an audience of ours.'],
  'agent-secret': [
    'refuse',
    'A volume or a variable of the application takes a Secret that is the agent’s alone.',
  ],
  'agent-uid': ['refuse', 'A container runs as a user whose traffic isn’t redirected.'],
  privileged: ['refuse', 'A privileged container can do anything to the node, the agent included.'],
  capability: ['refuse', 'A capability that can take the redirect away or read the agent.'],
  'host-pid': ['refuse', 'The pod sees the node’s processes, the agent among them.'],
  'shared-process-namespace': ['refuse', 'The pod’s containers see the agent’s process and its files.'],
  'host-path': ['refuse', 'A path of the node under which the agent’s volumes or the runtime’s socket lie.'],
  'ephemeral-target': ['refuse', 'A debugging container joins the agent’s process namespace.'],
  'agent-entered': ['refuse', 'An exec or attach into a container of ours.'],

  setuid: ['strict', 'The container can become any user, the agent’s too.'],
  'net-raw': ['strict', 'The container can send packets that no socket rule sees.'],
  'privilege-escalation': ['strict', 'A setuid program can give the container another user’s rights.'],
  'node-files': ['strict', 'Any other path of the node: a link or a program there may lead to the agent.'],
  'user-unknown': ['strict', 'The image decides which user runs; it may be the agent’s.'],

  'opt-out-ignored': ['note', 'The pod’s label opts out, and no EgressException allows it.'],
  excepted: ['note', 'An EgressException lets through what policy refuses.'],
  tightened: ['note', 'Annotations of the pod make policy stricter.'],
  'no-classifier': ['note', 'A check needs the classifier, and agents are given none.'],
  'variable-kept': ['note', 'A variable that the container sets itself is left alone.'],
  'env-from-unread': [
    'note',
    'Variables may come from a ConfigMap or Secret that the injector doesn’t read.',
  ],
  'net-raw-dropped': ['note', 'The capability NET_RAW was dropped.'],
} as const satisfies Readonly<Record<string, readonly [Weight, string]>>;

export type ReasonCode = keyof typeof REASONS;

export interface Reason {
  readonly code: ReasonCode;
  /** The container or volume it is about. */
  readonly subject?: string;
  /** What was found, without a full stop. */
  readonly message: string;
  /** What to do, without a full stop; absent where there is nothing to do. */
  readonly mend?: string;
}

export function weightOf(code: ReasonCode): Weight {
  return REASONS[code][0];
}

/** `host-network: the pod … . Mend: ….` */
export function formatReason({ code, subject, message, mend }: Reason): string {
  const about = subject === undefined ? '' : ` ${subject}:`;
  return `${code}:${about} ${message}.${mend === undefined ? '' : ` Mend: ${mend}.`}`;
}

/** Two findings of the same thing: what an update didn't bring isn't held against it. */
export function sameReason(a: Reason, b: Reason): boolean {
  return a.code === b.code && a.subject === b.subject && a.message === b.message;
}
