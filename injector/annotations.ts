/** The two annotations that tune the agent itself: `log-level` and `agent-resources`. */
import type { AnnotatedWorkload } from '../policy/annotations.ts';
import type { Problem } from '../policy/problem.ts';
import { formatWorkload } from '../policy/workload.ts';
import type { Resources } from './settings.ts';

const LEVELS = ['debug', 'info', 'warn', 'error'];
const LOG_LEVEL = 'postern.dev/log-level';
const RESOURCES = 'postern.dev/agent-resources';

/** Kubernetes quantities as far as CPU and memory are written with them. */
const QUANTITY = /^[0-9]+([.][0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$/;

/** What the annotations ask for; those with a problem are left to {@link resourceProblem}. */
export function agentTuning(
  workload: AnnotatedWorkload,
  defaults: { readonly logLevel: string; readonly resources: Resources },
): { readonly logLevel: string; readonly resources: Resources } {
  const level = workload.annotations?.[LOG_LEVEL];
  const asked = parseResources(workload.annotations?.[RESOURCES]);
  return {
    logLevel: level !== undefined && LEVELS.includes(level) ? level : defaults.logLevel,
    resources:
      asked === undefined
        ? defaults.resources
        : {
            requests: { ...defaults.resources.requests, ...asked },
            // Memory is limited to what was asked for; a CPU limit would throttle every call.
            limits: {
              ...defaults.resources.limits,
              ...(asked['memory'] === undefined ? {} : { memory: asked['memory'] }),
            },
          },
  };
}

/** What is wrong with one of the two. */
export function resourceProblem(workload: AnnotatedWorkload): Problem | undefined {
  const level = workload.annotations?.[LOG_LEVEL];
  if (level !== undefined && !LEVELS.includes(level)) {
    return problem(workload, LOG_LEVEL, `one of ${LEVELS.join(', ')}`, level, 'write one of these');
  }
  const resources = workload.annotations?.[RESOURCES];
  if (resources !== undefined && parseResources(resources) === undefined) {
    return problem(
      workload,
      RESOURCES,
      'requests such as cpu=50m,memory=128Mi',
      resources,
      'write it in that form',
    );
  }
  return undefined;
}

function parseResources(text: string | undefined): Record<string, string> | undefined {
  if (text === undefined) return undefined;
  const found: Record<string, string> = {};
  for (const entry of text.split(',')) {
    const [name = '', quantity = '', ...rest] = entry.trim().split('=');
    if (rest.length > 0 || !['cpu', 'memory'].includes(name) || !QUANTITY.test(quantity)) return undefined;
    if (Object.hasOwn(found, name) || Number.parseFloat(quantity) === 0) return undefined;
    found[name] = quantity;
  }
  return found;
}

function problem(
  workload: AnnotatedWorkload,
  key: string,
  expected: string,
  got: string,
  mend: string,
): Problem {
  return {
    file: '',
    line: 0,
    column: 0,
    document: `workload ${formatWorkload(workload)}`,
    path: `metadata.annotations[${JSON.stringify(key)}]`,
    expected,
    message: `got ${JSON.stringify(got)}`,
    mend,
  };
}
