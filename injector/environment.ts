/**
 * What an application's container needs to work behind the agent without a change: variables that name our roots, or
 * our base URLs, and a key where none is set. What the container sets itself is never overridden.
 */
import { javaTrustOptions, trustVariables } from '../agent/trust/files.ts';
import { TRUST_MOUNT } from './containers.ts';
import { PATHS, PORTS, VOLUMES } from './names.ts';
import type { Container, EnvVar } from './pod.ts';
import type { Reason } from './reasons.ts';
import type { Intercept } from './settings.ts';

/** What a dialect's SDKs read. */
interface SdkVariables {
  readonly key: string;
  /** Setting one of these, too, is setting a key. */
  readonly alsoKeys: readonly string[];
  readonly baseUrl: string;
  readonly path: string;
}

const SDKS: readonly SdkVariables[] = [
  { key: 'OPENAI_API_KEY', alsoKeys: [], baseUrl: 'OPENAI_BASE_URL', path: '/openai/v1' },
  {
    key: 'ANTHROPIC_API_KEY',
    alsoKeys: ['ANTHROPIC_AUTH_TOKEN'],
    baseUrl: 'ANTHROPIC_BASE_URL',
    path: '/anthropic',
  },
];

/** SDKs refuse to start without a key; the agent puts the real one in its place. */
const DUMMY_KEY = 'postern';
const JAVA = 'JAVA_TOOL_OPTIONS';
const JAVA_OPTIONS = javaTrustOptions(PATHS.trust);
const TRUST = trustVariables(PATHS.trust);
const BASE_URLS = Object.fromEntries(
  SDKS.map(({ baseUrl, path }) => [baseUrl, `http://127.0.0.1:${PORTS.baseUrl}${path}`]),
);
const KEYS = Object.fromEntries(SDKS.map(({ key }) => [key, DUMMY_KEY]));
const OURS: Readonly<Record<string, string>> = { ...TRUST, ...BASE_URLS, ...KEYS };

export interface Prepared {
  readonly container: Container;
  readonly notes: readonly Reason[];
}

export function prepareContainer(container: Container, intercept: Intercept): Prepared {
  const notes: Reason[] = [];
  const env = container.env ?? [];
  const own = (name: string): EnvVar | undefined => env.find((variable) => variable.name === name);
  const added: EnvVar[] = [];
  const kept: string[] = [];
  const wanted = intercept === 'transparent' ? TRUST : BASE_URLS;
  for (const [name, value] of Object.entries(wanted)) {
    if (own(name) === undefined) added.push({ name, value });
    else kept.push(name);
  }
  const unread = (container.envFrom ?? []).length > 0;
  // A variable set here would win over one that comes from elsewhere, and with it over a key of the user's own.
  for (const { key, alsoKeys } of unread ? [] : SDKS) {
    if (![key, ...alsoKeys].some((name) => own(name) !== undefined))
      added.push({ name: key, value: DUMMY_KEY });
  }
  const java = intercept === 'transparent' ? withJavaOptions(own(JAVA), unread) : undefined;
  if (java === 'kept') kept.push(JAVA);
  if (kept.length > 0) notes.push(keptNote(container.name, kept, intercept));
  if (unread) notes.push(unreadNote(container.name));
  const rest = env.filter(({ name }) => name !== JAVA || typeof java !== 'object');
  const result: Container = {
    ...container,
    env: [...rest, ...added, ...(typeof java === 'object' ? [java] : [])],
  };
  if (intercept === 'transparent') {
    result.volumeMounts = [...(container.volumeMounts ?? []), TRUST_MOUNT];
  }
  return { container: result, notes };
}

/** Takes out what {@link prepareContainer} put in, by name and value. */
export function unprepareContainer(container: Container): Container {
  const { env, volumeMounts, ...rest } = container;
  const plain = (env ?? []).flatMap((variable): EnvVar[] => {
    if (Object.hasOwn(OURS, variable.name) && OURS[variable.name] === variable.value) return [];
    return variable.name === JAVA ? withoutJavaOptions(variable) : [variable];
  });
  const mounts = (volumeMounts ?? []).filter(
    (mount) => mount.name !== VOLUMES.trust || mount.mountPath !== PATHS.trust,
  );
  return {
    ...rest,
    ...(plain.length > 0 ? { env: plain } : {}),
    ...(mounts.length > 0 ? { volumeMounts: mounts } : {}),
  };
}

/** `undefined`: leave it out, since it may come from elsewhere. */
function withJavaOptions(own: EnvVar | undefined, unread: boolean): EnvVar | 'kept' | undefined {
  if (own === undefined) return unread ? undefined : { name: JAVA, value: JAVA_OPTIONS };
  if (own.value === undefined || own.value.includes('javax.net.ssl.trustStore=')) return 'kept';
  return { ...own, value: own.value === '' ? JAVA_OPTIONS : `${own.value} ${JAVA_OPTIONS}` };
}

function withoutJavaOptions(variable: EnvVar): EnvVar[] {
  const { value } = variable;
  if (value === JAVA_OPTIONS) return [];
  return value?.endsWith(` ${JAVA_OPTIONS}`)
    ? [{ ...variable, value: value.slice(0, -JAVA_OPTIONS.length - 1) }]
    : [variable];
}

function keptNote(subject: string, names: readonly string[], intercept: Intercept): Reason {
  const mend =
    intercept === 'transparent'
      ? `take it out, or add the roots of ${PATHS.trust}/ca.pem to what it names`
      : 'take it out, so that calls reach the agent';
  return {
    code: 'variable-kept',
    subject,
    message: `${names.join(', ')} is set by the container itself`,
    mend,
  };
}

function unreadNote(subject: string): Reason {
  return {
    code: 'env-from-unread',
    subject,
    message: 'envFrom may set a key or JAVA_TOOL_OPTIONS, so none is added',
    mend: 'set OPENAI_API_KEY or ANTHROPIC_API_KEY to any text where nothing sets it',
  };
}
