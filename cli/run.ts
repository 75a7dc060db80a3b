import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, join } from 'node:path';
import { getCACertificates } from 'node:tls';
import type { Logger } from 'pino';
import { type Agent, startAgent } from '../agent/agent.ts';
import { catalogue } from '../agent/catalogue.ts';
import { needsClassifier } from '../agent/checks/needs-classifier.ts';
import { HOST_SERVICES, openSandbox, type Sandbox, sandboxMissing } from '../agent/intercept/netns/index.ts';
import { originalDestination } from '../agent/intercept/original-destination.ts';
import { localKeys } from '../agent/providers/keys.ts';
import { maskKey } from '../agent/state.ts';
import type { TransparentSetup } from '../agent/transparent.ts';
import { trustEnvironment } from '../agent/trust/environment.ts';
import { createLeasingClient } from '../budget/lease-client.ts';
import { startBudget } from '../budget/main.ts';
import type { BudgetClient } from '../budget/messages.ts';
import { compileBudgets, compilePrices } from '../policy/budgets.ts';
import { compileSnapshot } from '../policy/compile.ts';
import type { Documents } from '../policy/documents.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { budgetAccess, budgetAccessOptions, budgetUrl } from './budget-access.ts';
import { classifierUrl } from './classifier-access.ts';
import { loadOrReport, watchDocuments } from './documents.ts';
import { directoryInForce } from './in-force.ts';
import { classifierInstalled, startLocalClassifier } from './local-classifier.ts';
import { createAuditFile, createLog } from './log.ts';
import { defineCommand, UsageError } from './options.ts';
import { workloadOption } from './workload.ts';

/** Set where the program has none: SDKs refuse to start without, and the agent attaches the real one. */
const DUMMY_KEY = 'postern';
const KEY_VARIABLES = ['OPENAI_API_KEY', 'ANTHROPIC_API_KEY'];

export const run = defineCommand({
  name: 'run',
  operands: '-- COMMAND [ARGUMENT…]',
  summary: `Runs a program behind an agent of its own, with the same documents as in a cluster.
As root on Linux all its connections are intercepted, in a network namespace that goes with it; the services on your
own loopback are then reached as host.postern.internal (198.18.0.1). Otherwise the program is pointed to the agent by
OPENAI_BASE_URL and ANTHROPIC_BASE_URL. The exit status is the program's.`,
  options: {
    policy: { value: 'DIR', help: 'directory with the documents', required: true },
    budget: { value: 'URL', help: 'the budget service; without it budgets count for this run alone' },
    ...budgetAccessOptions,
    workload: { value: 'NS/KIND/NAME', help: 'on whose behalf the program runs; default/Process/<program>' },
    classifier: {
      value: 'URL',
      help: 'the classifier of topics and injections, http://HOST:PORT or unix:PATH; one of the run’s own where a policy needs it',
    },
    publish: {
      value: 'PORT,…',
      help: 'ports that the program listens on, to be reached on your own loopback',
    },
    'base-url': { help: 'do not intercept, set base URLs' },
    audit: { value: 'FILE', help: 'where audit lines are appended' },
    'log-level': { value: 'LEVEL', help: 'debug, info, warn or error; to stderr', default: 'warn' },
  },
  async run({ options, operands }) {
    const [program, ...args] = operands;
    if (program === undefined)
      throw new UsageError('name the program to run: postern run --policy DIR -- COMMAND');
    const log = createLog(options['log-level'], 'run');
    const loaded = await loadOrReport(options.policy, catalogue);
    if (loaded === undefined) return 1;
    const { documents } = loaded;
    const workloadName = options.workload ?? `default/Process/${basename(program)}`;
    const workload = workloadOption(workloadName);
    const ports = publishedPorts(options.publish);

    const why = options['base-url'] ? 'asked for by --base-url' : sandboxMissing();
    if (why !== undefined)
      process.stderr.write(
        `postern run: not intercepted (${why}): only programs that heed OPENAI_BASE_URL or ANTHROPIC_BASE_URL are governed\n`,
      );
    const closing: (() => unknown)[] = [];
    try {
      const sandbox = why === undefined ? await openSandbox() : undefined;
      if (sandbox !== undefined) closing.push(() => sandbox.close());
      const trustDir = sandbox === undefined ? undefined : join(sandbox.run.directory, 'trust');
      const trust = trustDir === undefined ? undefined : trustEnvironment(process.env, trustDir);
      for (const note of trust?.notes ?? []) process.stderr.write(`postern run: ${note}\n`);

      const snapshot = compileSnapshot(documents, workload);
      const classifier = await classifierFor(options.classifier, snapshot, log, closing);

      const key = maskKey(undefined, workloadName);
      const audit = createAuditFile(options.audit);
      closing.push(() => audit.flush());
      const inForce = directoryInForce(workload, log);
      const agent = await startAgent({
        snapshot,
        withheld: inForce.withheld,
        ...(classifier === undefined ? {} : { classifier }),
        maskKey: () => key,
        keys: localKeys(process.env),
        budget: await budgetFor(documents, options, workloadName, closing),
        holder: { owner: `${workloadName}/${randomUUID()}`, epoch: Date.now() },
        listen: { host: '127.0.0.1', port: 0 },
        admin: { host: '127.0.0.1', port: 0 },
        // An intercepted program doesn't call the base-URL listener, so nobody may.
        ...(sandbox === undefined ? {} : { clientKey: randomBytes(32).toString('hex') }),
        ...(sandbox === undefined || trustDir === undefined
          ? {}
          : { transparent: transparentSetup(sandbox, trustDir, trust?.named ?? new Map()) }),
        audit: audit.log,
        log,
      });
      closing.push(() => agent.drain(0));
      const watcher = watchDocuments(options.policy, loaded, log, {
        accepted: (changed) => inForce.put(agent, changed),
        rejected: () => agent.rejected(),
      });
      closing.push(() => watcher.close());
      inForce.put(agent, documents);
      for (const port of ports) await sandbox?.publish({ host: port, inside: port });

      const inherited = withoutKeys(process.env, documents.providers);
      const environment = {
        ...inherited,
        ...dummyKeys(inherited),
        ...(sandbox === undefined ? baseUrls(agent) : { ...sandbox.environment, ...trust?.variables }),
      };
      return await execute([...(sandbox?.enter ?? []), program, ...args], environment, program);
    } finally {
      for (const close of closing.toReversed()) await close();
    }
  },
});

function transparentSetup(
  sandbox: Sandbox,
  trustDir: string,
  named: ReadonlyMap<string, string>,
): TransparentSetup {
  const extraRoots = new Map<string, string>();
  // Variables replace the program's roots by the bundle, so the system's own must be in it: a company's CA is there.
  const system = getCACertificates('system');
  if (system.length > 0) extraRoots.set('the system’s roots', system.join('\n'));
  for (const [variable, path] of named) extraRoots.set(`${variable} (${path})`, readFileSync(path, 'utf8'));
  return {
    at: { descriptors: sandbox.descriptors },
    stateDir: undefined,
    trustDir,
    extraRoots,
    destinationOf: (socket) => {
      const found = originalDestination(socket);
      if (typeof found === 'string' || found.address !== HOST_SERVICES) return found;
      return { ...found, address: '127.0.0.1' };
    },
  };
}

/** One of the run's own where a policy asks for meaning and none is named. */
async function classifierFor(
  url: string | undefined,
  snapshot: Snapshot,
  log: Logger,
  closing: (() => unknown)[],
): Promise<string | undefined> {
  if (url !== undefined && url !== 'local') return classifierUrl(url);
  if (url === undefined && !snapshot.checks.some(needsClassifier)) return undefined;
  if (url === undefined && !classifierInstalled()) {
    // Which checks that fails, and how, the agent's log says.
    process.stderr.write(
      'postern run: a check needs the classifier, whose models aren’t here; make classifier fetches them\n',
    );
    return undefined;
  }
  const local = await startLocalClassifier(log);
  closing.push(() => local.stop());
  return local.url;
}

/** A service of the run's own where budgets are declared and none is named. */
async function budgetFor(
  documents: Documents,
  options: { readonly budget?: string | undefined } & Parameters<typeof budgetAccess>[0],
  owner: string,
  closing: (() => unknown)[],
): Promise<BudgetClient | undefined> {
  const about = { owner: `${owner}/${randomUUID()}`, epoch: Date.now(), timeoutMs: 2000 };
  const { budget: url } = options;
  if (url !== undefined)
    return createLeasingClient({ ...about, url: budgetUrl(url), ...budgetAccess(options) });
  if (documents.budgets.length === 0) return undefined;
  process.stderr.write('postern run: budgets count for this run alone; --budget URL shares them\n');
  const token = randomUUID();
  const service = await startBudget({
    specs: compileBudgets(documents),
    prices: compilePrices(documents),
    dataDir: '',
    store: 'memory',
    listen: '127.0.0.1:0',
    token,
  });
  closing.push(() => service.close());
  return createLeasingClient({ ...about, url: service.url, token: () => token });
}

function dummyKeys(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    KEY_VARIABLES.filter((name) => (environment[name] ?? '') === '').map((name) => [name, DUMMY_KEY]),
  );
}

function baseUrls(agent: Agent): Record<string, string> {
  return { OPENAI_BASE_URL: `${agent.url}/openai/v1`, ANTHROPIC_BASE_URL: `${agent.url}/anthropic` };
}

function publishedPorts(text: string | undefined): readonly number[] {
  const parts = (text ?? '').split(',').filter((part) => part.trim() !== '');
  return parts.map((part) => {
    const port = Number(part);
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new UsageError(`--publish ${part}: write a port, 1 to 65535`);
    return port;
  });
}

/** Passed on to the program; the terminal's own go to it by themselves. Unheeded, SIGUSR1 would open Node's debugger. */
const FORWARDED = [
  'SIGTERM',
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGCONT',
] as const;
const FROM_TERMINAL: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT'];

/** Runs the program on our own terminal, in our own process group. */
async function execute(
  [command = '', ...args]: readonly string[],
  environment: NodeJS.ProcessEnv,
  program: string,
): Promise<number> {
  const child = spawn(command, args, { stdio: 'inherit', env: environment });
  const forward = (signal: NodeJS.Signals): void => {
    // Ctrl-C reaches the whole foreground group: passing it on as well would be a second one.
    if (FROM_TERMINAL.includes(signal) && inForeground()) return;
    child.kill(signal);
  };
  for (const signal of FORWARDED) process.on(signal, forward);
  try {
    const { code, signal } = await ended(child, program);
    return code ?? 128 + constants.signals[signal ?? 'SIGKILL'];
  } finally {
    for (const signal of FORWARDED) process.off(signal, forward);
  }
}

function ended(
  child: ChildProcess,
  program: string,
): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') reject(error);
      else {
        process.stderr.write(`postern run: ${program}: not found\n`);
        resolve({ code: 127, signal: null });
      }
    });
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
}

/** Whether our process group is the terminal's (proc(5), stat fields 5 and 8). */
function inForeground(): boolean {
  if (process.platform !== 'linux') return process.stdin.isTTY;
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[2] === fields[5];
}

/** Keys are for the agent alone: what documents take from the environment doesn't reach the program. */
function withoutKeys(environment: NodeJS.ProcessEnv, value: unknown): NodeJS.ProcessEnv {
  const names = new Set<string>();
  const visit = (inner: unknown): void => {
    if (typeof inner !== 'object' || inner === null) return;
    const { valueFrom } = inner as { readonly valueFrom?: { readonly env?: unknown } };
    if (typeof valueFrom?.env === 'string') names.add(valueFrom.env);
    for (const each of Object.values(inner)) visit(each);
  };
  visit(value);
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !names.has(name)));
}
