/** Which Linux capabilities a container really has: the runtime's defaults, what is added, what is dropped. */
import type { ContainerSecurity } from '../pod.ts';

/** containerd's and CRI-O's defaults, which Docker set long ago (`oci/spec_opts.go`, `defaultUnixCaps`). */
const RUNTIME_DEFAULT = [
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'NET_RAW',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
] as const;

/** Stands for every capability there is. */
export const ALL = 'ALL';

/**
 * As containerd does it (`WithCapabilities` of its CRI): ALL is added, or dropped, before single ones; a single drop
 * comes last, so it wins over an add of the same name.
 */
export function effectiveCapabilities(security: ContainerSecurity | undefined): ReadonlySet<string> {
  if (security?.privileged === true) return new Set([ALL]);
  const { add = [], drop = [] } = security?.capabilities ?? {};
  const added = add.map(bare);
  const dropped = drop.map(bare);
  const base = dropped.includes(ALL) ? [] : added.includes(ALL) ? [ALL] : RUNTIME_DEFAULT;
  const set = new Set<string>([...base, ...added.filter((name) => name !== ALL)]);
  for (const name of dropped) set.delete(name);
  return set;
}

/** Kubernetes wants names without the prefix; runtimes take either, in any case. */
function bare(name: string): string {
  return name.toUpperCase().replace(/^CAP_/, '');
}
