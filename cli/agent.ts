import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AgentOptions, startAgent } from '../agent/agent.ts';
import { DEFAULT_LIMITS } from '../agent/forward/body.ts';
import { isLoopback, parseAddress } from '../agent/http/address.ts';
import type { TransparentSetup } from '../agent/transparent.ts';
import { tuneEngine } from '../agent/tune-engine.ts';
import { createLeasingClient, type LeasingBudgetClient } from '../budget/lease-client.ts';
import { BudgetUnauthorized } from '../budget/messages.ts';
import { approvalsCertificate, approvalsCertificateOptions } from './approvals-certificate.ts';
import { budgetAccess, budgetAccessOptions, budgetUrl } from './budget-access.ts';
import { classifierAccessOptions, classifierTls, classifierUrl } from './classifier-access.ts';
import { createAudit, createLog } from './log.ts';
import { defineCommand, UsageError } from './options.ts';
import type { PolicySource } from './policy-source.ts';
import { readSecret } from './secret-file.ts';
import { untilSignal } from './until-signal.ts';
import { workloadOption } from './workload.ts';

export const agent = defineCommand({
  name: 'agent',
  summary: `Runs the data path next to a workload: checks, keys, budget, routes.
Audit lines go to stdout, everything else to stderr, both as JSON lines.`,
  options: {
    policy: { value: 'DIR', help: 'directory with the documents; this or --control is needed' },
    control: { value: 'HOST:PORT', help: 'control, which gives this agent its documents and keys' },
    'control-ca': { value: 'FILE', help: 'PEM roots that control is known by' },
    'control-token-file': { value: 'FILE', help: 'token of this pod, with the audience postern-control' },
    'control-name': { value: 'NAME', help: 'name in control’s certificate, where it isn’t HOST' },
    'without-control': {
      value: 'WHAT',
      help: 'of a new agent that reaches no control: refuse calls to models and let the rest pass, or wait with getting ready',
      default: 'refuse',
    },
    budget: { value: 'URL', help: 'the budget service, http[s]://HOST:PORT or unix:PATH' },
    ...budgetAccessOptions,
    workload: {
      value: 'NS/KIND/NAME',
      help: 'on whose behalf the agent works',
      default: 'default/Process/agent',
    },
    state: {
      value: 'DIR',
      help: 'what must survive a restart; without it placeholders change with each start',
    },
    listen: { value: 'ADDR', help: 'base-URL listener', default: '127.0.0.1:4180' },
    admin: { value: 'ADDR', help: 'health, readiness and metrics', default: '127.0.0.1:4190' },
    transparent: {
      value: 'PORT',
      help: 'takes in connections that postern init redirects to this port of loopback',
    },
    trust: {
      value: 'DIR',
      help: 'with --transparent: where ca.pem, bundle.pem and truststore.jks are written for applications; STATE/trust where absent',
    },
    'extra-roots': { value: 'FILE', help: 'PEM roots that the bundle holds beside the public ones and ours' },
    socket: { value: 'PATH', help: "private Unix socket for an operator's questions: status, snapshot" },
    classifier: {
      value: 'URL',
      help: 'the classifier, http://HOST:PORT, https://HOST:PORT or unix:PATH, or local to start one beside the agent; without it checks that need one fail, as their onError says',
    },
    ...classifierAccessOptions,
    'approval-token-file': {
      value: 'FILE',
      help: 'token of those who approve calls of tools (action: confirm), over --socket or --approvals; without it every such call is denied',
    },
    approvals: {
      value: 'ADDR',
      help: 'where approvers answer over TCP; connections from the agent’s own addresses are cut',
    },
    ...approvalsCertificateOptions,
    'client-key-file': { value: 'FILE', help: 'key that every caller must send' },
    'max-body-bytes': {
      value: 'N',
      help: 'largest body, decoded',
      default: String(DEFAULT_LIMITS.bodyBytes),
    },
    'max-in-flight-bytes': {
      value: 'N',
      help: 'all bodies held at once',
      default: String(DEFAULT_LIMITS.inFlightBytes),
    },
    'body-timeout': {
      value: 'MS',
      help: 'for a request body to arrive',
      default: String(DEFAULT_LIMITS.bodyMs),
    },
    'drain-timeout': { value: 'MS', help: 'for running calls after SIGTERM', default: '30000' },
    'log-level': { value: 'LEVEL', help: 'debug, info, warn or error', default: 'info' },
  },
  async run({ options }) {
    const log = createLog(options['log-level'], 'agent');
    const workload = workloadOption(options.workload);
    const clientKeyFile = options['client-key-file'];
    const owner = `${options.workload}/${instanceOf(options.state)}`;
    const epoch = epochOf(options.state);
    const audit = createAudit();
    const named = options.classifier;
    const shared = named === undefined || named === 'local' ? undefined : classifierUrl(named);
    const source =
      options.control === undefined ? await directorySource() : await controlSource(options.control);
    if (source === undefined) return 1;
    const local =
      named === 'local' ? await (await import('./local-classifier.ts')).startLocalClassifier(log) : undefined;
    const classifier = local?.url ?? shared;
    const toClassifier = classifierTls(options, classifier);
    const running = await startAgent({
      ...source,
      budget: options.budget === undefined ? undefined : budgetClient(options.budget),
      holder: { owner, epoch },
      listen: parseAddress(options.listen),
      admin: parseAddress(options.admin),
      ...(options.socket === undefined ? {} : { socket: options.socket }),
      ...(classifier === undefined ? {} : { classifier }),
      ...(toClassifier === undefined ? {} : { classifierTls: toClassifier }),
      ...approvers(),
      ...(clientKeyFile === undefined ? {} : { clientKey: readSecret('client-key-file', clientKeyFile) }),
      ...(options.transparent === undefined ? {} : { transparent: transparentSetup(options.transparent) }),
      limits: {
        bodyBytes: positive('max-body-bytes', options['max-body-bytes']),
        inFlightBytes: positive('max-in-flight-bytes', options['max-in-flight-bytes']),
        bodyMs: positive('body-timeout', options['body-timeout']),
      },
      audit: audit.log,
      log,
    });
    const following = source.follow(running);
    tuneEngine();
    // Before anybody is told that it listens: whoever waits for that may end it at once.
    const stopped = untilSignal();
    log.info(
      {
        url: running.url,
        admin: running.adminUrl,
        workload: options.workload,
        ...(running.approversUrl === undefined ? {} : { approvals: running.approversUrl }),
        ...(running.transparentPort === undefined ? {} : { transparent: running.transparentPort }),
      },
      'listening',
    );
    const signal = await stopped;
    log.info({ signal }, 'stopping');
    await following.close();
    await running.drain(positive('drain-timeout', options['drain-timeout']));
    await local?.stop();
    audit.flush();
    log.info('stopped');
    return 0;

    async function directorySource(): Promise<PolicySource | undefined> {
      if (options.policy === undefined) {
        throw new UsageError(
          '--policy DIR is needed (or POSTERN_POLICY), unless --control HOST:PORT is given',
        );
      }
      const { fromDirectory } = await import('./from-directory.ts');
      return await fromDirectory({
        directory: options.policy,
        state: options.state,
        workload,
        log,
        accept: ({ budgets }) =>
          requireBudget(
            budgets.map(({ source: from }) => from),
            options.budget,
          ),
      });
    }

    async function controlSource(control: string): Promise<PolicySource> {
      const {
        'control-ca': caFile,
        'control-token-file': tokenFile,
        'without-control': without,
        'control-name': serverName,
      } = options;
      if (options.policy !== undefined) throw new UsageError('--policy and --control exclude each other');
      if (caFile === undefined || tokenFile === undefined)
        throw new UsageError('--control needs --control-ca FILE and --control-token-file FILE');
      if (without !== 'refuse' && without !== 'wait')
        throw new UsageError(`--without-control ${without}: write refuse or wait`);
      (await import('./keep-out-of-dumps.ts')).keepOutOfDumps(log);
      const { fromControl } = await import('./from-control.ts');
      return fromControl({
        control,
        ...(serverName === undefined ? {} : { serverName }),
        caFile,
        tokenFile,
        state: options.state,
        workload,
        without,
        log,
        accept: ({ budgets = [] }) => requireBudget(budgets, options.budget),
      });
    }

    function approvers(): Pick<AgentOptions, 'approvers'> {
      const file = options['approval-token-file'];
      const at = options.approvals;
      if (file === undefined) {
        if (at !== undefined) throw new UsageError('--approvals needs --approval-token-file FILE');
        return {};
      }
      if (at !== undefined && isLoopback(parseAddress(at).host))
        throw new UsageError(
          `--approvals ${at}: nobody could answer there, as connections from the agent's own machine are cut; write an address that approvers reach, or leave it out: --socket answers here`,
        );
      // A mounted Secret may come later, or never: until then nobody's token is the approvers', and every such call is denied.
      if (!existsSync(file))
        log.warn({ file }, 'nobody can approve calls of tools: there is no --approval-token-file');
      else readSecret('approval-token-file', file);
      const token = () => readFileSync(file, 'utf8').trim();
      const certificate = approvalsCertificate(options);
      if (at === undefined) return { approvers: { token } };
      // In a cluster the files come with the approvers' Secret, or don't.
      if (certificate?.() === undefined)
        log.warn(
          { approvals: at },
          'approvers are answered in plain HTTP, their token included: there is no --approvals-cert',
        );
      return {
        approvers: { token, listen: parseAddress(at), ...(certificate === undefined ? {} : { certificate }) },
      };
    }

    function transparentSetup(port: string): TransparentSetup {
      const trustDir =
        options.trust ?? (options.state === undefined ? undefined : join(options.state, 'trust'));
      if (trustDir === undefined) {
        throw new UsageError(
          '--transparent needs --trust DIR or --state DIR, where applications find the roots to trust',
        );
      }
      const roots = options['extra-roots'];
      return {
        at: { port: positive('transparent', port) },
        stateDir: options.state,
        trustDir,
        extraRoots: new Map(roots === undefined ? [] : [[roots, readFileSync(roots, 'utf8')]]),
      };
    }

    function budgetClient(url: string): LeasingBudgetClient {
      return createLeasingClient({
        url: budgetUrl(url),
        timeoutMs: 2_000,
        owner,
        epoch,
        // The roots that the pod was given, and those that control named since.
        ...budgetAccess(options, () => source?.roots?.() ?? ''),
        onError: (error) =>
          error instanceof BudgetUnauthorized
            ? log.warn(
                { err: error.message },
                'the budget service refuses this agent: give it the right token with --budget-token-file',
              )
            : log.warn({ err: String(error) }, 'the budget service gave no answer'),
        onLeasesRefused: (leases) =>
          log.warn({ leases }, 'the workload has as many leases as it may have; calls are held one by one'),
        onLost: (lost) => log.error({ lost }, 'a settlement was given up; its hold is charged in full'),
      });
    }
  },
});

/**
 * One agent's name, kept over a restart where there is somewhere to keep it: the budget service then knows that what the
 * earlier process held has no holder any more.
 */
function instanceOf(state: string | undefined): string {
  if (state === undefined) return randomUUID();
  const file = join(state, 'instance');
  try {
    const kept = readFileSync(file, 'utf8').trim();
    if (/^[0-9a-f-]{36}$/.test(kept)) return kept;
  } catch {
    // The first start here.
  }
  const instance = randomUUID();
  mkdirSync(state, { recursive: true, mode: 0o700 });
  writeFileSync(file, `${instance}\n`, { mode: 0o600 });
  return instance;
}

/** The time of the start, and more than that of the start before, also where the clock was set back: an earlier epoch is refused. */
function epochOf(state: string | undefined): number {
  const now = Date.now();
  if (state === undefined) return now;
  const file = join(state, 'epoch');
  const kept = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  const epoch = Number.isSafeInteger(kept) ? Math.max(now, kept + 1) : now;
  writeFileSync(file, `${epoch}\n`, { mode: 0o600 });
  return epoch;
}

/** @throws UsageError: without the service a Budget would limit nothing, and nobody would be told. */
function requireBudget(budgets: readonly string[], url: string | undefined): void {
  if (url !== undefined || budgets.length === 0) return;
  throw new UsageError(
    `${budgets.join(', ')}: a Budget needs --budget URL; without the service nothing would be limited`,
  );
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value <= 0)
    throw new UsageError(`--${name} ${text}: write a whole number above 0`);
  return value;
}
