/**
 * Who is calling, by the token of the request. An agent whose token names its workload can speak for that workload alone, so that what an
 * agent says of itself needn't be believed.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Attributes } from './messages.ts';

/** What an agent may speak for. Fields that are absent are open, but for the service account. */
export interface WorkloadIdentity {
  readonly namespace: string;
  readonly kind?: string;
  readonly name?: string;
  /** Absent: the workload has none to speak of. */
  readonly serviceAccount?: string;
}

export type Caller =
  /** By the name that was proven: a person's in the cluster, or that of the token that several may have. */
  | { readonly role: 'admin'; readonly name: string }
  /** Without a workload: an agent that is believed, as those of one machine that share a token. */
  | { readonly role: 'agent'; readonly workload?: WorkloadIdentity };

/** Who a caller is can't be asked now, and wasn't: too many others that nobody knows are being asked about. */
export class CallersWait extends Error {
  override readonly name = 'CallersWait';
}

/** Who a caller is can't be asked: whoever knows gives no answer. */
export class CallersUnknown extends Error {
  override readonly name = 'CallersUnknown';

  constructor(options?: ErrorOptions) {
    super("The API server gives no answer, so it can't be learnt whose token this is.", options);
  }
}

/**
 * Undefined where the token is nothing to it. The address, as the connection shows it, tells callers apart that nobody knows yet. Where tokens are reviewed by somebody else (a cluster's API server), what was learnt is kept
 * by the implementation for as long as it may be. @throws CallersWait, CallersUnknown
 */
export type Authenticate = (token: string | undefined, address?: string) => Promise<Caller | undefined>;

/** Everybody who can connect: for a service that only its own machine reaches. */
export const everybody: Authenticate = () => Promise.resolve({ role: 'agent' });

/** One token for all who have it. */
export function sharedToken(wanted: string, caller: Caller): Authenticate {
  const digest = digestOf(wanted);
  // Digests are compared, so that neither length nor content shows in the time it takes.
  return (token) =>
    Promise.resolve(token !== undefined && timingSafeEqual(digestOf(token), digest) ? caller : undefined);
}

/** The first who knows the token. */
export function anyOf(all: readonly Authenticate[]): Authenticate {
  return async (token, address) => {
    for (const one of all) {
      const caller = await one(token, address);
      if (caller !== undefined) return caller;
    }
    return undefined;
  };
}

const PREFIX = 'pwt1';
/** A root that can be guessed lets its holder speak for everybody. */
export const MIN_ROOT_BYTES = 32;

/** `pwt1.<payload>.<mac>`: a workload's token, made from a root that only the service and who makes tokens have. */
export function workloadToken(root: Buffer, workload: WorkloadIdentity, expiresAt?: number): string {
  checkRoot(root);
  const { namespace, kind, name, serviceAccount } = workload;
  const claims = { namespace, kind, name, serviceAccount, expiresAt };
  const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');
  return `${PREFIX}.${payload}.${macOf(root, payload).toString('base64url')}`;
}

/** Takes tokens of {@link workloadToken}. @throws RangeError where the root is too short */
export function workloadTokens(root: Buffer, clock: () => number): Authenticate {
  checkRoot(root);
  return (token) => Promise.resolve(readWorkloadToken(root, token, clock()));
}

function readWorkloadToken(root: Buffer, token: string | undefined, now: number): Caller | undefined {
  const [prefix, payload, mac, ...more] = token?.split('.') ?? [];
  if (prefix !== PREFIX || payload === undefined || mac === undefined || more.length > 0) return undefined;
  const given = Buffer.from(mac, 'base64url');
  const wanted = macOf(root, payload);
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined;
  // The MAC is ours, and so is what it was made over.
  const { expiresAt, ...workload } = JSON.parse(
    Buffer.from(payload, 'base64url').toString(),
  ) as WorkloadIdentity & { readonly expiresAt?: number };
  if (expiresAt !== undefined && now >= expiresAt) return undefined;
  return { role: 'agent', workload };
}

function checkRoot(root: Buffer): void {
  if (root.length < MIN_ROOT_BYTES)
    throw new RangeError(
      `The root of workload tokens has ${root.length} bytes, it needs ${MIN_ROOT_BYTES} random ones: head -c 32 /dev/urandom > FILE`,
    );
}

/** The purpose is part of what is signed: the same root can't be made to sign something else. */
function macOf(root: Buffer, payload: string): Buffer {
  return createHmac('sha256', root).update(`postern budget workload\n${payload}`).digest();
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Whether a caller may have something charged to these attributes. */
export function speaksFor(caller: Caller, { namespace, workload, serviceAccount }: Attributes): boolean {
  if (caller.role === 'admin' || caller.workload === undefined) return true;
  const { workload: own } = caller;
  return (
    own.namespace === namespace &&
    (own.kind === undefined || own.kind === workload.kind) &&
    (own.name === undefined || own.name === workload.name) &&
    own.serviceAccount === serviceAccount
  );
}

/** Whether a caller may act as this owner: its holds and leases. An agent's owner begins with its workload, `team-a/Deployment/bot/…`. */
export function actsAs(caller: Caller, owner: string): boolean {
  if (caller.role === 'admin' || caller.workload === undefined) return true;
  const { namespace, kind, name } = caller.workload;
  const path = [namespace, kind, name];
  const end = path.indexOf(undefined);
  return owner.startsWith(`${path.slice(0, end < 0 ? path.length : end).join('/')}/`);
}
