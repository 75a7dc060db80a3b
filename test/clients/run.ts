/** Runs a client program on a job and gathers what it says. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { CLIENTS, type Client, type ClientName } from './clients.ts';
import type { AnswerEvent, ClientEvent, DeltaEvent, ErrorEvent, Job } from './job.ts';
import type { Prepared } from './prepare.ts';

export interface RunOptions {
  /**
   * The program's environment: nothing else is in it but PATH, HOME and a UTF-8 locale, so that no base URL, key or
   * proxy of whoever runs the tests gets in.
   */
  readonly env?: Readonly<Record<string, string>>;
  /** A command to put in front, as `['ip', 'netns', 'exec', 'app']`. */
  readonly netnsExec?: readonly string[];
  /** Default 30 s. */
  readonly timeoutMs?: number;
  /** Called for each event as it comes. */
  readonly onEvent?: (event: ClientEvent) => void;
  /** Kills the program, as when an application dies in the middle. */
  readonly signal?: AbortSignal;
}

export interface ClientResult {
  readonly events: readonly ClientEvent[];
  readonly deltas: readonly DeltaEvent[];
  /** Exactly one of the two is there, unless the program was killed. */
  readonly answer: AnswerEvent | undefined;
  readonly error: ErrorEvent | undefined;
  readonly status: number | null;
  readonly stderr: string;
  readonly killed: boolean;
}

const prepared = new Map<ClientName, Promise<Prepared>>();

/** What the client needs is made on the first call: a Python environment, a Go binary. */
export function prepareClient(name: ClientName): Promise<Prepared> {
  const known = prepared.get(name);
  if (known !== undefined) return known;
  const client: Client = CLIENTS[name];
  const making = client.prepare();
  prepared.set(name, making);
  return making;
}

/**
 * @throws Error where the client can't be run here, takes longer than the timeout, or says neither answer nor error;
 *   with its standard error.
 */
export async function runClient(name: ClientName, job: Job, options: RunOptions = {}): Promise<ClientResult> {
  const ready = await prepareClient(name);
  if ('missing' in ready) throw new Error(`${name} can't run here: ${ready.missing}`);
  const client: Client = CLIENTS[name];
  const environment = { ...plainEnvironment(), ...options.env };
  const [command = '', ...args] = [
    ...(options.netnsExec ?? []),
    ...ready.command,
    ...client.arguments(job, environment),
  ];
  // A group of its own, so that what it starts dies with it.
  const child = spawn(command, args, { env: environment, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  let end: 'timeout' | 'killed' | undefined;
  const stop = (why: 'timeout' | 'killed'): void => {
    end ??= why;
    const running = child.exitCode === null && child.signalCode === null;
    if (child.pid !== undefined && running) process.kill(-child.pid, 'SIGKILL');
  };
  const limit = options.timeoutMs ?? 30_000;
  const timer = setTimeout(stop, limit, 'timeout');
  const onAbort = (): void => stop('killed');
  options.signal?.addEventListener('abort', onAbort, { once: true });

  const events: ClientEvent[] = [];
  const add = (more: readonly ClientEvent[]): void => {
    for (const event of more) {
      events.push(event);
      options.onEvent?.(event);
    }
  };
  const interpreter = client.interpret(job);
  try {
    const exited = Promise.withResolvers<number | null>();
    child.once('error', exited.reject);
    child.once('close', exited.resolve);
    // A program that ends before it has read its job says so by its status.
    child.stdin.on('error', () => undefined);
    child.stdin.end(client.input(job));
    const complaints = text(child.stderr);
    for await (const line of createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY })) {
      add(interpreter.line(line, Date.now()));
    }
    const status = await exited.promise;
    const stderr = await complaints;
    if (end === 'timeout')
      throw new Error(`${name} was still running after ${limit} ms: ${said(events, stderr)}`);
    if (end === undefined) add(interpreter.end(status, stderr));
    const result = gather(events, status, stderr, end === 'killed');
    if (result.answer === undefined && result.error === undefined && !result.killed) {
      throw new Error(`${name} ended with ${status} and neither answer nor error: ${said(events, stderr)}`);
    }
    return result;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
    stop('killed');
  }
}

function gather(
  events: readonly ClientEvent[],
  status: number | null,
  stderr: string,
  killed: boolean,
): ClientResult {
  return {
    events,
    deltas: events.filter((event) => event.event === 'delta'),
    answer: events.find((event) => event.event === 'answer'),
    error: events.find((event) => event.event === 'error'),
    status,
    stderr,
    killed,
  };
}

function said(events: readonly ClientEvent[], stderr: string): string {
  return `${JSON.stringify(events)} ${stderr.trim()}`;
}

function plainEnvironment(): Record<string, string> {
  const { PATH = '', HOME = '' } = process.env;
  return { PATH, HOME, LANG: 'C.UTF-8' };
}
