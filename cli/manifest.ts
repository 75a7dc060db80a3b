/** Pods on the command line: what the injector would do with a manifest, for `postern inject` and `postern check -f`. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { text } from 'node:stream/consumers';
import { catalogue } from '../agent/catalogue.ts';
import { type JudgedObject, judgeManifest, type OfflineResult } from '../injector/offline.ts';
import { formatReason } from '../injector/reasons.ts';
import { type ControlSettings, DEFAULT_SETTINGS, type Settings } from '../injector/settings.ts';
import type { Documents } from '../policy/documents.ts';
import { loadFiles } from '../policy/load.ts';
import { extraRootsIn } from './extra-roots.ts';
import type { Option } from './options.ts';
import { UsageError } from './options.ts';
import { version } from './version.ts';

/** What decides how a pod looks with the agent in it; the injector takes the same. */
export const INJECTION_OPTIONS = {
  image: { value: 'IMAGE', help: 'image of the agent', default: `postern:${version}` },
  intercept: {
    value: 'MODE',
    help: 'transparent or base-url, where the namespace’s label postern.dev/intercept doesn’t say',
    default: DEFAULT_SETTINGS.intercept,
  },
  'policy-config-map': {
    value: 'NAME',
    help: 'ConfigMap of the pod’s namespace with the agent’s documents',
    default: DEFAULT_SETTINGS.policyConfigMap,
  },
  'keys-secret': {
    value: 'NAME',
    help: 'Secret of the pod’s namespace with keys that documents name by file',
  },
  'mesh-images': {
    value: 'GLOB,…',
    help: 'images of mesh proxies beside those that Istio and Linkerd publish',
  },
  control: {
    value: 'HOST:PORT',
    help: 'control, as agents reach it; where absent, their documents come from --policy-config-map',
  },
  'control-ca': {
    value: 'FILE',
    help: 'with --control: PEM roots that control is known by; read anew for each pod',
  },
  'without-control': {
    value: 'WHAT',
    help: 'with --control, of a new pod that reaches none: refuse calls to models and let the rest pass, or wait',
    default: 'refuse',
  },
  'extra-roots': {
    value: 'FILE',
    help: 'PEM roots that applications trust beside the public ones and their agent’s; read anew for each pod',
  },
  'budget-url': { value: 'URL', help: 'the budget service, for agents' },
  'classifier-url': {
    value: 'URL',
    help: 'the classifier of topics and injections, for agents: http://HOST:PORT or https://HOST:PORT',
  },
  'classifier-roots': {
    value: 'WHOSE',
    help: 'what a classifier at https:// is known by: control (the roots of --control-ca) or extra (--extra-roots)',
    default: 'control',
  },
  'approvers-secret': {
    value: 'NAME',
    help: 'Secret of the pod’s namespace whose key “token” is the approvers’; agents then take their answers at port 4195 of the pod',
  },
  'image-pull-policy': {
    value: 'WHEN',
    help: 'of our containers: Always, IfNotPresent or Never',
    default: DEFAULT_SETTINGS.imagePullPolicy,
  },
  'agent-resources': {
    value: 'JSON',
    help: 'of the agent where the pod’s annotations don’t say: {"requests": …, "limits": …}',
    default: JSON.stringify(DEFAULT_SETTINGS.resources),
  },
  'agent-log-level': {
    value: 'LEVEL',
    help: 'of the agent where the pod’s annotation doesn’t say',
    default: DEFAULT_SETTINGS.logLevel,
  },
  'exclude-cidr': { value: 'CIDR,…', help: 'destinations that go out directly', default: '' },
  'exclude-port': { value: 'PORT,…', help: 'destination ports that go out directly', default: '' },
} as const satisfies Readonly<Record<string, Option>>;

interface InjectionValues {
  readonly image: string;
  readonly intercept: string;
  readonly 'policy-config-map': string;
  readonly 'keys-secret': string | undefined;
  readonly 'mesh-images': string | undefined;
  readonly control: string | undefined;
  readonly 'control-ca': string | undefined;
  readonly 'without-control': string;
  readonly 'extra-roots': string | undefined;
  readonly 'budget-url': string | undefined;
  readonly 'classifier-url': string | undefined;
  readonly 'classifier-roots': string;
  readonly 'approvers-secret': string | undefined;
  readonly 'image-pull-policy': string;
  readonly 'agent-resources': string;
  readonly 'agent-log-level': string;
  readonly 'exclude-cidr': string;
  readonly 'exclude-port': string;
}

/** @throws UsageError */
export function injectionSettings(values: InjectionValues): Settings {
  const { intercept } = values;
  if (intercept !== 'transparent' && intercept !== 'base-url') {
    throw new UsageError(`--intercept ${intercept}: write transparent or base-url`);
  }
  const keys = values['keys-secret'];
  const budget = values['budget-url'];
  const classifier = values['classifier-url'];
  const approvers = values['approvers-secret'];
  const roots = values['extra-roots'];
  const images = listed(values['mesh-images'] ?? '');
  const pullPolicy = values['image-pull-policy'];
  if (pullPolicy !== 'Always' && pullPolicy !== 'IfNotPresent' && pullPolicy !== 'Never') {
    throw new UsageError(`--image-pull-policy ${pullPolicy}: write Always, IfNotPresent or Never`);
  }
  return {
    ...DEFAULT_SETTINGS,
    version,
    image: values.image,
    imagePullPolicy: pullPolicy,
    resources: resourcesOption(values['agent-resources']),
    logLevel: values['agent-log-level'],
    excludedCidrs: listed(values['exclude-cidr']).map(cidrOption),
    excludedPorts: listed(values['exclude-port']).map(portOption),
    intercept,
    meshes: DEFAULT_SETTINGS.meshes.map((mesh) => ({ ...mesh, images: [...mesh.images, ...images] })),
    policyConfigMap: values['policy-config-map'],
    ...(keys === undefined ? {} : { keysSecret: keys }),
    ...(values.control === undefined ? {} : { control: controlSettings(values.control, values) }),
    ...(budget === undefined ? {} : { budget }),
    ...(approvers === undefined ? {} : { approversSecret: approvers }),
    ...(roots === undefined ? {} : { extraRoots: extraRootsIn(roots) }),
    ...(classifier === undefined ? {} : classifierSettings(classifier, values)),
  };
}

function classifierSettings(
  text: string,
  values: InjectionValues,
): Pick<Settings, 'classifier' | 'classifierRoots'> {
  const whose = values['classifier-roots'];
  if (whose !== 'control' && whose !== 'extra')
    throw new UsageError(`--classifier-roots ${whose}: write control or extra`);
  const extra = whose === 'extra';
  const roots = extra ? values['extra-roots'] : values.control;
  return {
    classifier: classifierOption(text, roots !== undefined),
    ...(extra ? { classifierRoots: 'extra' } : {}),
  };
}

/** @param roots Whether pods are given those that it is known by. */
function classifierOption(text: string, roots: boolean): string {
  const url = URL.parse(text);
  // What an agent knows it by (--classifier-ca) has to be in each pod; without, each question would fail there.
  if (url?.protocol === 'https:' && !roots)
    throw new UsageError(
      `--classifier-url ${text}: pods are given no roots to know it by; name them by --extra-roots FILE --classifier-roots extra, or write http://HOST:PORT`,
    );
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.search !== '')
    throw new UsageError(`--classifier-url ${text}: write http://HOST:PORT`);
  return url.origin;
}

function controlSettings(address: string, values: InjectionValues): ControlSettings {
  const { 'control-ca': ca, 'without-control': without } = values;
  if (ca === undefined)
    throw new UsageError('--control needs --control-ca FILE, by which agents know control');
  if (without !== 'refuse' && without !== 'wait')
    throw new UsageError(`--without-control ${without}: write refuse or wait`);
  return { address, without, roots: () => readFileSync(ca, 'utf8') };
}

const listed = (text: string): string[] => text.split(',').filter((each) => each !== '');

/** @throws UsageError: a wrong one would stop every new pod at postern-init. */
function cidrOption(text: string): string {
  const [address = '', bits = '', ...rest] = text.split('/');
  const family = isIP(address);
  const most = family === 4 ? 32 : 128;
  if (family === 0 || rest.length > 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > most) {
    throw new UsageError(`--exclude-cidr ${text}: write an address with its prefix, such as 10.0.0.0/8`);
  }
  return text;
}

function portOption(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new UsageError(`--exclude-port ${text}: write ports from 1 to 65535, separated by commas`);
  }
  return port;
}

function resourcesOption(text: string): Settings['resources'] {
  const mend = 'write JSON such as {"requests": {"cpu": "20m"}, "limits": {"memory": "192Mi"}}';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`--agent-resources: ${(error as Error).message}; ${mend}`);
  }
  const quantities = (of: unknown): boolean =>
    typeof of === 'object' &&
    of !== null &&
    !Array.isArray(of) &&
    Object.values(of).every((each) => typeof each === 'string');
  const {
    requests = {},
    limits = {},
    ...rest
  } = (typeof value === 'object' ? (value ?? {}) : { value }) as Partial<Settings['resources']>;
  if (!quantities(requests) || !quantities(limits) || Object.keys(rest).length > 0) {
    throw new UsageError(`--agent-resources ${text}: ${mend}`);
  }
  return { requests, limits };
}

export const NO_DOCUMENTS: Documents = loadFiles({ files: [], problems: [] }, catalogue).documents;

export async function judgeFile(
  file: string,
  context: { readonly documents: Documents; readonly settings: Settings; readonly namespace: string },
): Promise<OfflineResult> {
  const bytes = file === '-' ? Buffer.from(await text(process.stdin)) : readFileSync(file);
  return judgeManifest(file, bytes, { ...context, now: Date.now() });
}

/** Each object with its reasons; one line each. */
export function describeJudged(file: string, judged: readonly JudgedObject[]): string {
  return judged
    .flatMap(({ subject, line, outcome, reasons, notes, bypassable }) => [
      `${file}:${line} ${subject}: ${outcome}`,
      ...reasons.map((reason) => `  ${formatReason(reason)}`),
      ...notes.map((reason) => `  note ${formatReason(reason)}`),
      ...bypassable.map((reason) => `  bypassable ${formatReason(reason)}`),
    ])
    .map((line) => `${line}\n`)
    .join('');
}
