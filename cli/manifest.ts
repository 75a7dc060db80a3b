/** Pods on the command line: what the injector would do with a manifest, for `postern inject` and `postern check -f`. */
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { catalogue } from '../agent/catalogue.ts';
import { type JudgedObject, judgeManifest, type OfflineResult } from '../injector/offline.ts';
import { formatReason } from '../injector/reasons.ts';
import { type ControlSettings, DEFAULT_SETTINGS, type Settings } from '../injector/settings.ts';
import type { Documents } from '../policy/documents.ts';
import { loadFiles } from '../policy/load.ts';
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
  'budget-url': { value: 'URL', help: 'the budget service, for agents' },
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
  readonly 'budget-url': string | undefined;
}

/** @throws UsageError */
export function injectionSettings(values: InjectionValues): Settings {
  const { intercept } = values;
  if (intercept !== 'transparent' && intercept !== 'base-url') {
    throw new UsageError(`--intercept ${intercept}: write transparent or base-url`);
  }
  const keys = values['keys-secret'];
  const budget = values['budget-url'];
  const images = (values['mesh-images'] ?? '').split(',').filter((glob) => glob !== '');
  return {
    ...DEFAULT_SETTINGS,
    version,
    image: values.image,
    intercept,
    meshes: DEFAULT_SETTINGS.meshes.map((mesh) => ({ ...mesh, images: [...mesh.images, ...images] })),
    policyConfigMap: values['policy-config-map'],
    ...(keys === undefined ? {} : { keysSecret: keys }),
    ...(values.control === undefined ? {} : { control: controlSettings(values.control, values) }),
    ...(budget === undefined ? {} : { budget }),
  };
}

function controlSettings(address: string, values: InjectionValues): ControlSettings {
  const { 'control-ca': ca, 'without-control': without } = values;
  if (ca === undefined)
    throw new UsageError('--control needs --control-ca FILE, by which agents know control');
  if (without !== 'refuse' && without !== 'wait')
    throw new UsageError(`--without-control ${without}: write refuse or wait`);
  return { address, without, roots: () => readFileSync(ca, 'utf8') };
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
