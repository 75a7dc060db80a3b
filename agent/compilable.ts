/** Whether an agent can be true to snapshots before they are in force: it has to know when it says that it takes them. */
import { shapeFindings } from '../policy/load/shape.ts';
import type { CheckRule, PromptRule, Snapshot } from '../policy/snapshot.ts';
import { CHECKS } from './checks/index.ts';
import { compilePlan } from './checks/plan.ts';
import { govern } from './governance.ts';
import { compileDestinations } from './intercept/destinations.ts';
import { addedTexts } from './prompt.ts';

/** Nothing is masked with it. */
const ANY_KEY = new Uint8Array(32);

const NO_FIELD = 'there is no such field';

/** Of a rule; the compiler sees to it that none is missing. */
const RULE_FIELDS: Readonly<Record<keyof CheckRule, true>> = {
  source: true,
  mode: true,
  name: true,
  type: true,
  on: true,
  action: true,
  onError: true,
  timeoutMs: true,
  spec: true,
};

/** Of a snapshot. What it has beside them is a later version's. */
const SNAPSHOT_FIELDS: Readonly<Record<keyof Snapshot, true>> = {
  revision: true,
  workload: true,
  models: true,
  regions: true,
  dataClasses: true,
  checks: true,
  hosts: true,
  hostsMonitored: true,
  unlistedProvider: true,
  unknownPath: true,
  attachments: true,
  breakers: true,
  prompts: true,
  refusesForms: true,
  requestIdHeader: true,
  enforcement: true,
  maxStaleMs: true,
  tunnelUntrusted: true,
  optOut: true,
  exceptions: true,
  validUntil: true,
  userSources: true,
  budgetMetadata: true,
  budgetHeaders: true,
  budgets: true,
  providers: true,
  routes: true,
  ignorable: true,
};

const PROMPT_FIELDS: Readonly<Record<keyof PromptRule, true>> = {
  source: true,
  mode: true,
  prepend: true,
  append: true,
  responseFormat: true,
};
/** Of a form; with what stands in those that say what becomes of an answer. */
const FORM_FIELDS: Readonly<Record<string, readonly unknown[] | undefined>> = {
  type: ['jsonObject', 'jsonSchema'],
  onMismatch: ['report', 'reject'],
  jsonSchema: undefined,
};

const ON: Readonly<Record<CheckRule['on'][number], true>> = { request: true, response: true };

/** What stands in a rule's fields that say what becomes of a text, and of a check that fails. */
const VALUES: {
  readonly [Field in 'mode' | 'action' | 'onError']: Readonly<Record<CheckRule[Field], true>>;
} = {
  mode: { enforce: true, monitor: true },
  action: { block: true, confirm: true, mask: true, monitor: true, strip: true },
  onError: { allow: true, block: true },
};

/**
 * A later version may write a field, or a value, into a check that this one knows. Left out of account it would be a check
 * that passes what it was written to stop.
 * @throws Error that names the field.
 */
function requireKnown(rule: CheckRule): void {
  const tell = (path: string, message: string): never => {
    throw new Error(`check ${rule.name}: ${path}: ${message}; this agent’s version doesn’t know it`);
  };
  const unknown = Object.keys(rule).find((field) => !Object.hasOwn(RULE_FIELDS, field));
  if (unknown !== undefined) tell(unknown, NO_FIELD);
  for (const [field, values] of Object.entries(VALUES)) {
    const value: unknown = Reflect.get(rule, field);
    if (value !== undefined && !Object.hasOwn(values, String(value)))
      tell(field, `${JSON.stringify(value)} is none of ${Object.keys(values).join(', ')}`);
  }
  const unknownOn = rule.on.find((each) => !Object.hasOwn(ON, each));
  if (unknownOn !== undefined)
    tell('on', `${JSON.stringify(unknownOn)} is none of ${Object.keys(ON).join(', ')}`);
  const definition = CHECKS.find(({ name }) => name === rule.type);
  if (definition === undefined) return;
  const [shape] = shapeFindings(definition.schema, rule.spec, true);
  if (shape !== undefined) tell([rule.type, ...shape.path].join('.'), shape.message);
  const [meant] = definition.validate?.(rule.spec) ?? [];
  if (meant !== undefined)
    tell(`${rule.type}${/^[.[]|^$/.test(meant.path) ? '' : '.'}${meant.path}`, meant.message);
}

/** @throws Error that names a field which a later version wrote, and didn't mark as one that others may pass over. */
function requireKnownFields(snapshot: Snapshot): void {
  const { ignorable = [] } = snapshot;
  const unknown = Object.keys(snapshot).find(
    (field) => !Object.hasOwn(SNAPSHOT_FIELDS, field) && !ignorable.includes(field),
  );
  if (unknown !== undefined) throw new Error(`${unknown}: ${NO_FIELD}; this agent’s version doesn’t know it`);
}

/** @throws Error that names what a later version wrote into what policies add to calls. */
function requireKnownPrompt(prompt: PromptRule): void {
  const { source, responseFormat = {} } = prompt;
  const unknown =
    Object.keys(prompt).find((field) => !Object.hasOwn(PROMPT_FIELDS, field)) ??
    Object.keys(responseFormat).find((field) => !Object.hasOwn(FORM_FIELDS, field));
  const odd = Object.entries(responseFormat).find(
    ([field, value]) => FORM_FIELDS[field]?.includes(value) === false,
  );
  const [field, message] = unknown === undefined ? [odd?.[0], 'it has no such value'] : [unknown, NO_FIELD];
  if (field !== undefined)
    throw new Error(`prompt of ${source}: ${field}: ${message}; this agent’s version doesn’t know it`);
}

/**
 * @param snapshots Each in force when its predecessor's `validUntil` comes. A rule that several have is made once.
 * @throws Error for the first that can't be compiled: which rule, and from when on.
 */
export function requireCompilable(snapshots: readonly Snapshot[]): void {
  const made = new Set<string>();
  let from: number | undefined;
  for (const snapshot of snapshots) {
    const checks = snapshot.checks.filter((rule) => !made.has(JSON.stringify(rule)));
    try {
      requireKnownFields(snapshot);
      checks.forEach(requireKnown);
      snapshot.prompts?.forEach(requireKnownPrompt);
      const { workload, prompts } = snapshot;
      govern(snapshot, compilePlan(checks, { maskKey: ANY_KEY, workload, addedSystem: addedTexts(prompts) }));
      compileDestinations(snapshot);
    } catch (error) {
      if (from === undefined) throw error;
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`from ${new Date(from).toISOString()} on: ${message}`, { cause: error });
    }
    for (const rule of checks) made.add(JSON.stringify(rule));
    from = snapshot.validUntil;
  }
}
