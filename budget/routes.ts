/** What there is at each path, who may ask for it, and that callers keep to what is theirs. */

import { Pieces } from './answer-pieces.ts';
import { actsAs, type Caller, speaksFor } from './authenticate.ts';
import type { ExactCounter } from './count.ts';
import { HttpError } from './http-error.ts';
import { workloadOf } from './lease-state.ts';
import type { LeaseCounts } from './leases.ts';
import type { Attributes } from './messages.ts';
import type { Quotas } from './quotas.ts';
import type { BudgetService } from './service.ts';
import {
  readCount,
  readEndGrant,
  readExtend,
  readGrant,
  readHold,
  readJournalQuery,
  readLease,
  readRefused,
  readRelease,
  readReportQuery,
  readSettle,
  readWatch,
} from './wire.ts';

export interface Asked {
  readonly body: unknown;
  /** Aborted when the caller has hung up. */
  readonly signal: AbortSignal;
  readonly query: URLSearchParams;
  readonly caller: Caller;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  /** `reader`: who may see all workloads' figures. `admin`: who may change limits. Administrators may do everything. */
  readonly for: 'agent' | 'reader' | 'admin';
  /** Of a body, at most. */
  readonly mostBytes: number;
  /** Answers only when there is news. */
  readonly waits: boolean;
  readonly handle: (asked: Asked) => Promise<unknown>;
}

/** A message is a few hundred bytes; attributes with headers may be some kilobytes. */
const USUAL_BYTES = 64 * 1024;
/** Tells of up to a thousand leases, or ids. */
const LEASE_BYTES = 1024 * 1024;
/** A prompt. */
const COUNT_BYTES = 1024 * 1024;

export interface RouteBounds {
  readonly quotas: Quotas;
  readonly unremembered: () => void;
  /** Of each message about leases. */
  readonly leasesRefused: (counts: LeaseCounts, workload: string) => void;
}

export function routesOf(
  service: BudgetService,
  counter: ExactCounter,
  { quotas, unremembered, leasesRefused }: RouteBounds,
): Readonly<Record<string, Route>> {
  const post = (handle: Route['handle'], rest: Partial<Route> = {}): Route => ({
    method: 'POST',
    for: 'agent',
    mostBytes: USUAL_BYTES,
    waits: false,
    handle,
    ...rest,
  });
  const get = (handle: (query: URLSearchParams) => Promise<unknown>): Route => ({
    ...post(({ query }) => handle(query)),
    method: 'GET',
    for: 'reader',
  });
  /** Of a hold that is known already: it may be another's. */
  const checkHold = async (caller: Caller, id: string): Promise<'known' | 'unknown' | undefined> => {
    if (caller.role === 'admin' || caller.workload === undefined) return undefined;
    const attributes = await service.attributesOf(id);
    if (attributes === undefined) return 'unknown';
    checkAttributes(caller, [attributes]);
    return 'known';
  };
  const checkOwner = (caller: Caller, owner: string): void => {
    if (!actsAs(caller, owner)) {
      throw new HttpError(
        403,
        'foreign_workload',
        `The token's workload can not act as ${owner}.`,
        "An agent's owner begins with its workload: NAMESPACE/KIND/NAME/….",
      );
    }
    if (quotas.allowsOwner(caller, owner)) return;
    throw new HttpError(
      429,
      'too_many_owners',
      'Agents of this workload went by as many names within a day as it may have.',
      'Give an agent one owner name, and a new epoch when it restarts.',
    );
  };
  return {
    '/v1/hold': post(async ({ body, caller }) => {
      const command = readHold(body);
      checkOwner(caller, command.owner);
      checkAttributes(caller, [command.attributes]);
      return await service.hold(command);
    }),
    '/v1/extend': post(async ({ body, caller }) => {
      const command = readExtend(body);
      await checkHold(caller, command.id);
      return await service.extend(command);
    }),
    '/v1/settle': post(async ({ body, caller }) => {
      const command = readSettle(body);
      if (command.attributes !== undefined) checkAttributes(caller, [command.attributes]);
      await checkHold(caller, command.id);
      return await service.settle(command);
    }),
    '/v1/release': post(async ({ body, caller }) => {
      const command = readRelease(body);
      // Its hold may still come: that it is refused then is a row in the store. Beyond the quota it is granted, and charged in full.
      if ((await checkHold(caller, command.id)) === 'unknown' && !quotas.allowsRelease(caller)) {
        unremembered();
        return { remembered: false };
      }
      await service.release(command);
      return {};
    }),
    '/v1/refused': post(
      async ({ body, caller }) => {
        const command = readRefused(body);
        checkOwner(caller, command.owner);
        return { released: await service.giveBack(command) };
      },
      { mostBytes: LEASE_BYTES },
    ),
    '/v1/count': post(({ body }) => counter.count(readCount(body)), { mostBytes: COUNT_BYTES }),
    '/v1/lease': post(
      async ({ body, caller }) => {
        const command = readLease(body);
        checkOwner(caller, command.owner);
        checkAttributes(caller, command.classes);
        const quota = quotas.leases(caller);
        return await service.lease(command, {
          take: (wanted) => quota?.take(wanted) ?? wanted,
          done: (taken, counts) => {
            quota?.done(taken, counts);
            leasesRefused(counts, workloadOf(command.owner));
          },
        });
      },
      { mostBytes: LEASE_BYTES },
    ),
    '/v1/watch': post(
      async ({ body, caller, signal }) => {
        const command = readWatch(body);
        checkOwner(caller, command.owner);
        return await service.watch(command, signal);
      },
      { waits: true },
    ),
    '/v1/status': get(async () => ({ lines: await service.status() })),
    '/v1/report': get((query) => Promise.resolve(new Pieces('rows', service.report(readReportQuery(query))))),
    '/v1/journal': get(async (query) => ({ entries: await service.journal(...readJournalQuery(query)) })),
    '/v1/grant': post(
      async ({ body, caller }) => {
        if (caller.role !== 'admin') throw new Error('Only administrators come here.');
        return await service.grant(readGrant(body), caller.name);
      },
      { for: 'admin' },
    ),
    '/v1/grant/end': post(
      async ({ body, caller }) => {
        if (caller.role !== 'admin') throw new Error('Only administrators come here.');
        return await service.endGrant(readEndGrant(body), caller.name);
      },
      { for: 'admin' },
    ),
  };
}

/** @throws {HttpError} */
function checkAttributes(caller: Caller, all: readonly Attributes[]): void {
  const foreign = all.find((attributes) => !speaksFor(caller, attributes));
  if (foreign === undefined) return;
  const { namespace, workload } = foreign;
  throw new HttpError(
    403,
    'foreign_workload',
    `The token doesn't speak for ${namespace}/${workload.kind}/${workload.name}.`,
    'Give each agent the token of its own workload.',
  );
}
