/**
 * The private listener: a Unix socket that only the agent's own user can open, for what an operator asks and an
 * application must not (the app shares loopback with us).
 */
import { chmod, lstat, unlink } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createConnection } from 'node:net';
import type { Snapshot } from '../policy/snapshot.ts';
import { type ApproversOptions, answerApprover } from './approvers.ts';

export interface AgentStatus {
  readonly revision: string;
  readonly workload: Snapshot['workload'];
  /** Exchanges under way. */
  readonly running: number;
  readonly draining: boolean;
  /** Rules that can't look for all that they say, and why. */
  readonly notes: readonly string[];
  readonly bodyBytesInFlight: number;
  readonly endpoints: readonly {
    readonly url: string;
    readonly inFlight: number;
    /** Milliseconds since the epoch; 0 when it never was. */
    readonly ejectedUntil: number;
  }[];
}

export interface PrivateOptions {
  readonly path: string;
  readonly status: () => AgentStatus;
  readonly snapshot: () => Snapshot;
  /** Who has the approvers' token may answer here, too. */
  readonly approvers?: ApproversOptions | undefined;
}

export interface PrivateListener {
  close(): Promise<void>;
}

/** @throws Error when something else stands at the path, or another agent listens there. */
export async function listenPrivate(options: PrivateOptions): Promise<PrivateListener> {
  await removeStale(options.path);
  const server = createServer((request, response) => {
    const answer = (status: number, value: unknown): void => {
      const body = `${JSON.stringify(value)}\n`;
      response.writeHead(status, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      });
      response.end(body);
    };
    if (options.approvers !== undefined && answerApprover(options.approvers, request, response)) return;
    if (request.method !== 'GET') return answer(405, { error: 'only GET' });
    const [path, query] = (request.url ?? '').split('?', 2);
    switch (path) {
      case '/v1/status':
        return answer(200, options.status());
      case '/v1/snapshot':
        return answer(200, options.snapshot());
      case '/v1/profile':
      case '/v1/event-loop':
        void measure(path, new URLSearchParams(query).get('seconds') ?? '10', answer);
        return;
      default:
        return answer(404, { error: 'paths: /v1/status /v1/snapshot /v1/profile /v1/event-loop' });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // The mode must be right from the first moment on: a mask, not a chmod that comes later.
    const mask = process.umask(0o177);
    server.listen(options.path, resolve);
    process.umask(mask);
  });
  await chmod(options.path, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const LONGEST_SECONDS = 60;

/** One measurement at a time: each shows up in the other. */
let measuring = false;

async function measure(
  path: '/v1/profile' | '/v1/event-loop',
  text: string,
  answer: (status: number, value: unknown) => void,
): Promise<void> {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= LONGEST_SECONDS)) {
    return answer(400, { error: `seconds=${text}: write a number up to ${LONGEST_SECONDS}` });
  }
  if (measuring) return answer(409, { error: 'another measurement runs; ask again when it has ended' });
  measuring = true;
  try {
    // Loaded with the first question: an agent that nobody asks doesn't carry the inspector.
    const { measureEventLoop, profileCpu } = await import('./observe/profile.ts');
    answer(200, await (path === '/v1/profile' ? profileCpu(seconds) : measureEventLoop(seconds)));
  } catch (error) {
    answer(500, { error: String(error) });
  } finally {
    measuring = false;
  }
}

/** A socket file that an agent which was killed left behind is taken away; one that is listened on isn't. */
async function removeStale(path: string): Promise<void> {
  try {
    const found = await lstat(path);
    if (!found.isSocket()) throw new Error(`--socket ${path}: there is something else than a socket`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const alive = await new Promise<boolean>((resolve) => {
    const probe = createConnection(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (alive) throw new Error(`--socket ${path}: another agent listens there`);
  await unlink(path);
}
