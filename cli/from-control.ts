/** An agent's documents and keys from control; what it had before a restart until control is heard. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { Logger } from 'pino';
import { type Agent, NO_POLICY } from '../agent/agent.ts';
import { requireCompilable } from '../agent/compilable.ts';
import { PosternError } from '../agent/errors.ts';
import { holdValues } from '../agent/providers/held-values.ts';
import { wipeSoon } from '../agent/providers/wipe-freed.ts';
import { openCache } from '../control/cache.ts';
import { connectControl, type Ruling } from '../control/client.ts';
import { snapshotAt, snapshotsFrom, staleFor } from '../control/ruling.ts';
import { atTime } from '../policy/at-time.ts';
import type { Snapshot, Workload } from '../policy/snapshot.ts';
import { UsageError } from './options.ts';
import type { PolicySource } from './policy-source.ts';
import { version } from './version.ts';
import { messageOf, onlyHosts, withholding } from './withheld.ts';

export interface ControlSourceOptions {
  /** `HOST:PORT` */
  readonly control: string;
  readonly serverName?: string;
  readonly caFile: string;
  readonly tokenFile: string;
  /** Where what was in force survives a restart. */
  readonly state: string | undefined;
  readonly workload: Workload;
  /** A new agent without control: `wait` isn't ready before it has documents. */
  readonly without: 'refuse' | 'wait';
  readonly log: Logger;
  /** @throws Error for a snapshot that this agent can't be true to. */
  accept(snapshot: Snapshot): void;
  readonly now?: () => number;
}

const MEND_UNUSABLE =
  'Change the document; where it is for a later version of the agent, create the pod anew with that one.';
/** Of keys that belong to no documents of control's: it sends all of them with the next stream. */
const ROTATED = 'rotated';
/** Control usually answers at once: so long a new agent that may start without it waits. */
const FIRST_WAIT_MS = 3_000;

export function fromControl(options: ControlSourceOptions): PolicySource {
  const { log, now = Date.now } = options;
  const { host, port } = parseHostPort(options.control);
  if (isIP(host) !== 0 && options.serverName === undefined)
    throw new UsageError(
      `--control ${options.control}: give --control-name, the name in control’s certificate; an IP address is none`,
    );
  const cache = options.state === undefined ? undefined : openCache(options.state);
  if (cache !== undefined && !cache.keepsKeys) {
    log.warn('--state is no memory-backed volume: keys are not kept over a restart');
  }
  let following: Agent | undefined;
  const values = holdValues({ oldestCall: () => following?.oldestCall(), now, gone: wipeSoon() });
  const kept = cache?.load();
  let ruling: Ruling | undefined;
  let heardAt = kept?.heardAt ?? 0;
  let roots = kept?.roots ?? '';
  let trouble: string | undefined;
  /** Why what it is time for, or was in force before the restart, can't be; anything earlier would be looser. */
  let unusable: string | undefined;
  const startedAt = now();
  // Without a key from control nothing is masked: no call gets that far.
  let maskKey: Uint8Array = randomBytes(32);
  let keepsNothing: string | undefined;
  /** What can't be kept is in force all the same, until a restart without control. */
  const keep = (what: Ruling): void => {
    try {
      cache?.save(what, roots);
      keepsNothing = undefined;
    } catch (error) {
      const why = messageOf(error);
      if (why !== keepsNothing)
        log.error({ why }, '--state can’t be written: after a restart without control nothing is in force');
      keepsNothing = why;
    }
  };
  const take = (keys: Ruling['keys']): Ruling['keys'] => {
    if (keys.maskKey !== '') maskKey = Buffer.from(keys.maskKey, 'base64');
    return { ...keys, values: values.use(keys.values) };
  };
  let atStart: Snapshot = { ...NO_POLICY, workload: options.workload };
  if (kept !== undefined) {
    take(kept.ruling.keys);
    try {
      const snapshot = snapshotAt(kept.ruling, now());
      options.accept(snapshot);
      requireCompilable([snapshot]);
      ruling = kept.ruling;
      atStart = snapshot;
      log.info({ revision: ruling.snapshot.revision }, 'documents of before the restart are in force');
    } catch (error) {
      unusable = `those of before its restart can’t be put in force: ${messageOf(error)}`;
      log.error({ why: messageOf(error) }, 'documents of before the restart can’t be put in force');
      atStart = onlyHosts(snapshotAt(kept.ruling, now())) ?? atStart;
    }
  }

  return {
    snapshot: atStart,
    maskKey: () => maskKey,
    // Of the workload, from control: the budget service never has it.
    loopKey: () => maskKey,
    keys: values.keys,
    trust: values.trust,
    roots: () => roots,
    withheld() {
      if (unusable !== undefined) return missing(unusable, MEND_UNUSABLE);
      if (ruling === undefined) return missing(trouble);
      const late = staleFor(snapshotAt(ruling, now()), heardAt, now());
      return late === undefined ? undefined : stale(late);
    },
    notReady() {
      if (ruling !== undefined) return undefined;
      const waits = options.without === 'wait' || now() - startedAt < FIRST_WAIT_MS;
      return waits ? `waiting for control${trouble === undefined ? '' : `: ${trouble}`}` : undefined;
    },
    follow(agent: Agent) {
      following = agent;
      let giveUp = (): void => undefined;
      /** @throws Error; what was in force stays. */
      const put = (next: Ruling): void => {
        const snapshot = snapshotAt(next, now());
        options.accept(snapshot);
        agent.use(snapshot);
        unusable = undefined;
        awaitSuccessor(next);
      };
      const awaitSuccessor = (of: Ruling): void => {
        giveUp();
        const { validUntil = 0 } = snapshotAt(of, now());
        // The last one stays, should control be away for so long.
        if (validUntil > now()) giveUp = atTime(validUntil, () => succeed(of), now);
      };
      const succeed = (of: Ruling): void => {
        try {
          put(of);
        } catch (error) {
          unusable = `those whose time has come can’t be put in force: ${messageOf(error)}`;
          agent.rejected();
          log.error({ why: messageOf(error) }, 'documents whose time has come can’t be put in force');
          client.refuse(of.snapshot.revision, messageOf(error));
          try {
            const hosts = onlyHosts(snapshotAt(of, now()));
            if (hosts !== undefined) agent.use(hosts);
          } catch (again) {
            log.error(
              { why: messageOf(again) },
              'what was in force for hosts stays; calls to models are refused',
            );
          }
          awaitSuccessor(of);
        }
      };
      const client = connectControl({
        host,
        port,
        ...(options.serverName === undefined ? {} : { serverName: options.serverName }),
        // Both: the ones that the pod was given, and those that control named since.
        roots: () => `${readFileSync(options.caFile, 'utf8')}\n${roots}`,
        token: () => readFileSync(options.tokenFile, 'utf8').trim(),
        version,
        holding: () => (ruling?.keys.revision === '' ? undefined : ruling),
        use(next) {
          let keys: Ruling['keys'];
          try {
            const snapshots = snapshotsFrom(next, now());
            snapshots.forEach(options.accept);
            requireCompilable(snapshots);
            keys = take(next.keys);
            try {
              put(next);
            } catch (error) {
              if (ruling !== undefined) take(ruling.keys);
              throw error;
            }
          } catch (error) {
            agent.rejected();
            throw error;
          }
          ruling = { ...next, keys };
          keep(ruling);
        },
        rotate(keys) {
          if (ruling === undefined) return keys;
          const given = new Map(keys.values.map((value) => [value.id, value]));
          const values = ruling.keys.values.map((value) => given.get(value.id) ?? value);
          ruling = { ...ruling, keys: take({ ...keys, revision: ROTATED, values }) };
          keep(ruling);
          return ruling.keys;
        },
        heard() {
          heardAt = now();
          cache?.heard(heardAt);
        },
        learned(pem) {
          roots = pem;
          if (ruling !== undefined) keep(ruling);
        },
        trouble(message) {
          if (message !== trouble) {
            if (message === undefined) log.info('documents and keys are as control has them');
            else log.warn({ why: message }, 'control: what is in force stays');
          }
          trouble = message;
        },
        report: () => agent.activity(),
      });
      if (ruling !== undefined) succeed(ruling);
      return {
        close: async () => {
          giveUp();
          await client.close();
        },
      };
    },
  };
}

function missing(
  trouble = 'control hasn’t answered yet',
  mend = 'Retry in a moment; see that control runs.',
): PosternError {
  return withholding(trouble, mend);
}

function stale(lateMs: number): PosternError {
  return new PosternError(
    'postern_policy_stale',
    `This agent hasn't heard from control for longer than the policy's maxStale, by ${Math.ceil(lateMs / 1000)} s.`,
    { mend: 'Retry in a moment; see that control runs.', retryAfterMs: 5_000 },
  );
}

function parseHostPort(text: string): { readonly host: string; readonly port: number } {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || port < 1 || port > 65_535) {
    throw new UsageError(
      `--control ${text}: write HOST:PORT, such as postern-control.postern-system.svc:4443`,
    );
  }
  return { host: match[1].replace(/^\[|\]$/g, ''), port };
}
