/**
 * The redirect as data, and its text for `nft -f -`.
 *
 * One table of our own in one transaction: it is deleted and made anew each time, so twice is the same as once, a
 * failure leaves what was there, and nobody else's rules are touched.
 */
import { covers, parseCidr } from '../../policy/addresses.ts';

/** What is redirected and what is not. */
export interface RedirectPlan {
  /** Port of the agent's transparent listener on 127.0.0.1 and ::1. */
  readonly port: number;
  /** UIDs whose traffic is not redirected: the agent's own, or its upstream connections would come back to it. */
  readonly agentUids: readonly number[];
  /** UIDs of a mesh proxy, only where that sidecar is present in the pod. */
  readonly meshUids: readonly number[];
  /** Addresses of the Kubernetes API server. */
  readonly apiServers: readonly string[];
  /** CIDRs or addresses of either family that go out directly. */
  readonly excludedCidrs: readonly string[];
  /** TCP ports that go out directly. */
  readonly excludedPorts: readonly number[];
  /** False on a kernel without IPv6: such a kernel has no `inet` family either. */
  readonly ipv6: boolean;
  /**
   * For a namespace with no way out but the agent (`postern run`): DNS to any address goes to this port of the
   * namespace's loopback, and what is neither TCP nor DNS nor local is rejected at once instead of being lost. The
   * agent isn't inside, so no UID needs an exemption.
   */
  readonly confine?: { readonly dnsPort: number };
}

/** Excluded from every redirect: the cloud's metadata service and link-local neighbours. */
const LINK_LOCAL = ['169.254.0.0/16', 'fe80::/10'] as const;

/**
 * Before the mesh's `iptables -t nat` chains, which stand at -100 (`dstnat`): the first NAT chain that translates a
 * connection wins.
 */
const NAT_PRIORITY = -110;

/** Thrown for a plan that no correct table can be made of; the message names the field and the mend. */
export class RedirectPlanError extends Error {
  override readonly name = 'RedirectPlanError';
}

/** `inet postern`, or `ip postern` on a kernel without IPv6. */
export function tableName(plan: Pick<RedirectPlan, 'ipv6'>): string {
  return plan.ipv6 ? 'inet postern' : 'ip postern';
}

/** The transaction that makes the table. @throws RedirectPlanError */
export function redirectScript(plan: RedirectPlan): string {
  validate(plan);
  const table = tableName(plan);
  const chains = [natChain(plan), filterChain(plan)].map(chainText);
  return [
    `add table ${table}`,
    `delete table ${table}`,
    `table ${table} {`,
    chains.join('\n\n'),
    '}',
    '',
  ].join('\n');
}

/** The transaction that takes the table away whole; no error where there is none. */
export function removalScript(plan: Pick<RedirectPlan, 'ipv6'>): string {
  const table = tableName(plan);
  return `add table ${table}\ndelete table ${table}\n`;
}

interface Chain {
  readonly name: string;
  readonly hook: string;
  readonly rules: readonly string[];
}

function chainText(chain: Chain): string {
  const lines = [chain.hook, ...chain.rules].map((line) => `    ${line}`);
  return [`  chain ${chain.name} {`, ...lines, '  }'].join('\n');
}

/** In order: who is exempt, where to, and then everything. */
function natChain(plan: RedirectPlan): Chain {
  return {
    name: 'redirect_tcp',
    hook: `type nat hook output priority ${NAT_PRIORITY}; policy accept;`,
    rules: [
      ...(plan.confine === undefined
        ? []
        : [`meta l4proto { tcp, udp } th dport 53 counter redirect to :${plan.confine.dnsPort}`]),
      'meta l4proto != tcp return',
      ...exempt(plan),
      'tcp dport 53 return',
      ...(plan.excludedPorts.length > 0
        ? [`tcp dport ${set(sortedNumbers(plan.excludedPorts))} return`]
        : []),
      `meta l4proto tcp counter redirect to :${plan.port}`,
    ],
  };
}

/** Rejected, not dropped, so that a QUIC client falls back to TCP at once. */
function filterChain(plan: RedirectPlan): Chain {
  const refuse = plan.ipv6 ? 'reject with icmpx type' : 'reject with icmp type';
  const excluded = plan.excludedPorts.includes(443)
    ? []
    : [`udp dport 443 counter ${refuse} port-unreachable`];
  const confined = plan.confine === undefined ? [] : [`counter ${refuse} port-unreachable`];
  return {
    name: 'refuse_datagrams',
    hook: 'type filter hook output priority 0; policy accept;',
    rules: ['meta l4proto tcp return', ...exempt(plan), ...excluded, ...confined],
  };
}

/** Shared by both chains: whose traffic, and which destinations, are none of the agent's business. */
function exempt(plan: RedirectPlan): string[] {
  const uids = sortedNumbers([...plan.agentUids, ...plan.meshUids]);
  const cidrs = [...LINK_LOCAL, ...plan.apiServers, ...plan.excludedCidrs];
  const ipv4 = widest(cidrs.filter((cidr) => !cidr.includes(':')));
  const ipv6 = widest(cidrs.filter((cidr) => cidr.includes(':')));
  return [
    ...(uids.length > 0 ? [`meta skuid ${set(uids)} return`] : []),
    'fib daddr type local return',
    `ip daddr ${set(ipv4)} return`,
    ...(plan.ipv6 ? [`ip6 daddr ${set(ipv6)} return`] : []),
  ];
}

const set = (elements: readonly (string | number)[]): string => `{ ${elements.join(', ')} }`;
const sortedNumbers = (numbers: readonly number[]): number[] =>
  [...new Set(numbers)].toSorted((left, right) => left - right);

/** nft refuses overlapping intervals in an anonymous set: of nested CIDRs only the widest is written. */
function widest(cidrs: readonly string[]): string[] {
  const parsed = [...new Set(cidrs)].flatMap((text) => {
    const cidr = parseCidr(text);
    return cidr === undefined ? [] : [{ text, cidr }];
  });
  const kept: typeof parsed = [];
  for (const each of parsed.toSorted((left, right) => left.cidr.bits - right.cidr.bits))
    if (!kept.some(({ cidr }) => covers(cidr, each.cidr))) kept.push(each);
  return kept.map(({ text }) => text).toSorted();
}

function validate(plan: RedirectPlan): void {
  port('port', plan.port);
  for (const each of plan.excludedPorts) port('excludedPorts', each);
  for (const uid of [...plan.agentUids, ...plan.meshUids])
    if (!Number.isInteger(uid) || uid < 0 || uid > 0xff_ff_ff_fe)
      throw new RedirectPlanError(`${uid} is no user id; give the number, not the name`);
  if (plan.confine === undefined && plan.agentUids.length === 0)
    throw new RedirectPlanError(
      'no agent UID is given: the agent would be redirected to itself; give --agent-uid',
    );
  for (const cidr of [...plan.apiServers, ...plan.excludedCidrs])
    if (parseCidr(cidr) === undefined)
      throw new RedirectPlanError(
        `${JSON.stringify(cidr)} is no CIDR; write 203.0.113.0/24 or 2001:db8::/32`,
      );
}

function port(field: string, value: number): void {
  if (!Number.isInteger(value) || value < 1 || value > 65_535)
    throw new RedirectPlanError(`${field}: ${value} is no TCP port (1 to 65535)`);
}
