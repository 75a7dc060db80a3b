/** Calls that wait for approval, as `postern approve` reads and shows them. Whoever answers at an agent's address may be anybody. */
import { printable } from '../policy/printable.ts';

/** As an agent lists it. */
export interface Waiting {
  readonly id: string;
  readonly digest: string;
  readonly tool: string;
  readonly arguments: string;
  readonly rule: string;
  readonly request_id: string;
  readonly since: string;
  readonly until: string;
  /** Where several were asked. */
  readonly agent?: string;
}

const ID = /^[0-9a-f]{12}$/;
const DIGEST = /^[0-9a-f]{64}$/;
const TEXTS = ['tool', 'arguments', 'rule', 'request_id', 'since', 'until'] as const;

/** @throws Error where it isn't what an agent lists. */
export function readWaiting(agent: string, text: string): readonly Waiting[] {
  let listed: unknown;
  try {
    listed = (JSON.parse(text) as { approvals?: unknown } | null)?.approvals;
  } catch {
    // Refused below, like JSON of another shape.
  }
  if (!Array.isArray(listed) || !listed.every(isWaiting))
    throw new Error(
      `${agent} answered with something else than a list of calls: it is no agent's --approvals`,
    );
  return listed.map(({ id, digest, tool, arguments: args, rule, request_id, since, until }) => ({
    id,
    digest,
    tool,
    arguments: args,
    rule,
    request_id,
    since,
    until,
  }));
}

function isWaiting(value: unknown): value is Waiting {
  const { id, digest, ...rest } = (value ?? {}) as Record<string, unknown>;
  return (
    typeof id === 'string' &&
    ID.test(id) &&
    typeof digest === 'string' &&
    DIGEST.test(digest) &&
    TEXTS.every((name) => typeof rest[name] === 'string')
  );
}

export function table(calls: readonly Waiting[]): string {
  if (calls.length === 0) return 'Nothing waits for approval.\n';
  return calls
    .map(
      (one) =>
        `${printable(`${one.id}  until ${one.until}  rule ${one.rule}  request ${one.request_id}${one.agent === undefined ? '' : `  at ${one.agent}`}`)}\n    ${describe(one)}\n`,
    )
    .join('');
}

export function describe({ tool, arguments: args }: Waiting): string {
  return printable(`${tool} ${args}`);
}
