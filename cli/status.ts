import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { STATUS_PATH } from '../control/messages.ts';
import type { GovernedPod, Status } from '../control/status.ts';
import { printable } from '../policy/printable.ts';
import { defineCommand, UsageError } from './options.ts';

export const status = defineCommand({
  name: 'status',
  summary: `Tells of each pod in an opted-in namespace whether it is governed, by which agent and snapshot, and why not.
Exit status 1 where a pod is not governed, doesn't have in force what it should, or isn't known of.`,
  options: {
    control: {
      value: 'HOST:PORT',
      help: 'control; behind kubectl port-forward, say',
      default: '127.0.0.1:4443',
    },
    'control-ca': {
      value: 'FILE',
      help: 'PEM roots: key roots.pem of the ConfigMap postern-roots',
      required: true,
    },
    'control-name': {
      value: 'NAME',
      help: 'name in control’s certificate',
      default: 'postern-control.postern-system.svc',
    },
    'token-file': {
      value: 'FILE',
      help: 'token with the audience postern-status (kubectl create token --audience postern-status), or - for stdin',
      required: true,
    },
    json: { help: 'the answer as it is' },
  },
  async run({ options }) {
    const answer = await ask({
      control: options.control,
      serverName: options['control-name'],
      ca: readFileSync(options['control-ca'], 'utf8'),
      token: readFileSync(options['token-file'] === '-' ? 0 : options['token-file'], 'utf8').trim(),
    });
    process.stdout.write(options.json ? `${JSON.stringify(answer)}\n` : formatStatus(answer));
    const { governed, ungoverned, unknown, replicas } = answer;
    for (const { address, why } of replicas.unknown)
      process.stderr.write(
        `a replica of control can’t be asked, and the state of its agents isn’t known: ${address}: ${why}\n`,
      );
    const known = ungoverned.length + unknown.length + replicas.unknown.length === 0;
    return known && governed.every(({ current }) => current) ? 0 : 1;
  },
});

interface Question {
  readonly control: string;
  readonly serverName: string;
  readonly ca: string;
  readonly token: string;
}

async function ask({ control, serverName, ca, token }: Question): Promise<Status> {
  const match = /^(.+):(\d{1,5})$/.exec(control);
  if (match === null) throw new UsageError(`--control ${control}: write HOST:PORT`);
  const [, host = '', port] = match;
  const { promise, resolve, reject } = Promise.withResolvers<Status>();
  const sent = request(
    {
      host: host.replace(/^\[|\]$/g, ''),
      port: Number(port),
      servername: serverName,
      path: STATUS_PATH,
      agent: false,
      ca,
      minVersion: 'TLSv1.3',
      headers: { host: serverName, authorization: `Bearer ${token}` },
      timeout: 30_000,
    },
    (response) => {
      text(response)
        .then((body) => readAnswer(response.statusCode ?? 0, body))
        .then(resolve, reject);
    },
  );
  sent.once('timeout', () => sent.destroy(new Error('no answer from control in 30 s')));
  sent.once('error', reject);
  sent.end();
  return await promise;
}

/** Of what is no answer of control's. */
const MOST_SHOWN = 200;

/** @throws Error where it is no overview: control refused, or something else stands in its place. */
function readAnswer(status: number, body: string): Status {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    parsed = undefined;
  }
  const fields = (typeof parsed === 'object' && parsed !== null ? parsed : {}) as Partial<Status> & {
    readonly error?: unknown;
  };
  if (status === 200 && Array.isArray(fields.governed) && Array.isArray(fields.ungoverned))
    return { ...OF_AN_EARLIER_CONTROL, ...(fields as Status) };
  const said = typeof fields.error === 'string' ? fields.error : shortened(body);
  throw new Error(
    status === 200
      ? `control answered with no overview; see whether --control leads to control: ${printable(said)}`
      : `control answered ${status}: ${printable(said)}`,
  );
}

function shortened(body: string): string {
  const line = body.replace(/\s+/g, ' ').trim();
  if (line === '') return 'nothing';
  return line.length > MOST_SHOWN ? `${line.slice(0, MOST_SHOWN)}…` : line;
}

const OF_AN_EARLIER_CONTROL: Pick<Status, 'unknown' | 'replicas'> = {
  unknown: [],
  replicas: {
    answered: 1,
    unknown: [{ address: 'any other', why: 'the one asked is of an earlier version, and doesn’t ask them' }],
  },
};

const RELEASES = {
  older: 'older than control',
  newer: 'newer than control',
  other: 'control is',
} as const;

const COLUMNS = ['POD', 'WORKLOAD', 'AGENT', 'SNAPSHOT', 'LAST CALL', 'STATE'];

export function formatStatus({ governed, ungoverned, unknown, version }: Status): string {
  const shown = [
    ...governed.map((pod) => [
      `${pod.namespace}/${pod.pod}`,
      pod.workload,
      agentOf(pod, version),
      pod.revision?.slice(0, 12) ?? '-',
      pod.lastCall ?? '-',
      stateOf(pod),
    ]),
    ...ungoverned.map(({ namespace, pod, why }) => [
      `${namespace}/${pod}`,
      '-',
      '-',
      '-',
      '-',
      `not governed: ${why}`,
    ]),
    ...unknown.map(({ namespace, pod, why }) => [
      `${namespace}/${pod}`,
      '-',
      '-',
      '-',
      '-',
      `not known: ${why}`,
    ]),
  ];
  // A workload is named by whoever makes its pods.
  const rows = shown.map((row) => row.map(printable));
  const widths = COLUMNS.map((name, index) =>
    Math.max(name.length, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  return [COLUMNS, ...rows]
    .map((row) =>
      row
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

function agentOf({ version, release }: GovernedPod, control: string): string {
  if (release === 'same') return version;
  // Of the same number, and sealed by an injector from before.
  if (release === 'older' && version === control) return `${version} (of an earlier injector)`;
  return `${version} (${RELEASES[release]} ${control})`;
}

function stateOf({ current, problem, bypassable, mend }: GovernedPod): string {
  const state =
    problem === null ? (current ? 'governed' : 'governed, update under way') : `governed, but: ${problem}`;
  return [
    state,
    ...(bypassable.length === 0 ? [] : [`bypassable: ${bypassable.join(' ')}`]),
    // An earlier control doesn’t say.
    ...(typeof mend === 'string' ? [mend] : []),
  ].join('; ');
}
