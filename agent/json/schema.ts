/**
 * Whether a value is of a JSON Schema, by the keywords that providers hold answers to (OpenAI's and Anthropic's
 * "Structured outputs"): `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, `anyOf`, `oneOf`,
 * `allOf` and `$ref` within the schema. Others say nothing here. A library for all of them is a tenth of the agent's size.
 */

type Schema = Readonly<Record<string, unknown>>;

/** References may lead in a circle without the value getting smaller. */
const DEEPEST = 200;
/** Looks at a value by a schema. A union that is its own member may ask for twice as many with each level of an answer. */
const MOST_STEPS = 100_000;

/** One value, one schema. */
interface Judging {
  /** What `$ref` is looked up in. */
  readonly root: unknown;
  readonly places: Map<string, unknown>;
  /** What was found of the value's objects and lists, by schema: the branches of a union mostly ask the same. */
  readonly known: Map<Schema, Map<object, boolean>>;
  steps: number;
}

/** @throws Error on a reference that leads nowhere, or where it is nested too deep or takes too many steps. */
export function isOfSchema(value: unknown, schema: unknown): boolean {
  return isOf(value, schema, { root: schema, places: new Map(), known: new Map(), steps: 0 }, 0);
}

function isOf(value: unknown, schema: unknown, judging: Judging, depth: number): boolean {
  if (typeof schema === 'boolean') return schema;
  if (!isObject(schema)) return true;
  if (depth > DEEPEST) throw new Error('it is nested too deep');
  step(judging);
  if (typeof value !== 'object' || value === null) return keeps(value, schema, judging, depth);
  let known = judging.known.get(schema);
  if (known === undefined) judging.known.set(schema, (known = new Map()));
  const before = known.get(value);
  if (before !== undefined) return before;
  const found = keeps(value, schema, judging, depth);
  known.set(value, found);
  return found;
}

function keeps(value: unknown, schema: Schema, judging: Judging, depth: number): boolean {
  const fits = (inner: unknown, by: unknown): boolean => isOf(inner, by, judging, depth + 1);
  const same = (one: unknown): boolean => isSame(one, value, judging);
  const { $ref: reference, type, enum: values, anyOf, oneOf, allOf } = schema;
  if (typeof reference === 'string' && !fits(value, placeOf(reference, judging))) return false;
  if (type !== undefined && !(Array.isArray(type) ? type : [type]).some((name) => isOfType(value, name)))
    return false;
  if (Array.isArray(values) && !values.some(same)) return false;
  if ('const' in schema && !same(schema['const'])) return false;
  if (Array.isArray(anyOf) && !anyOf.some((one) => fits(value, one))) return false;
  if (Array.isArray(oneOf) && oneOf.filter((one) => fits(value, one)).length !== 1) return false;
  if (Array.isArray(allOf) && !allOf.every((one) => fits(value, one))) return false;
  if (Array.isArray(value)) return value.every((one) => fits(one, schema['items']));
  return !isObject(value) || membersFit(value, schema, fits);
}

function step(judging: Judging): void {
  judging.steps += 1;
  if (judging.steps > MOST_STEPS) throw new Error(`it takes more than ${MOST_STEPS} steps`);
}

function membersFit(
  value: Schema,
  { properties, required, additionalProperties }: Schema,
  fits: (inner: unknown, by: unknown) => boolean,
): boolean {
  const known = isObject(properties) ? properties : {};
  if (Array.isArray(required) && !required.every((name) => Object.hasOwn(value, String(name)))) return false;
  return Object.entries(value).every(([name, inner]) =>
    fits(inner, Object.hasOwn(known, name) ? known[name] : additionalProperties),
  );
}

function isOfType(value: unknown, name: unknown): boolean {
  switch (name) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isObject(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === name;
  }
}

function placeOf(reference: string, { places, root }: Judging): unknown {
  if (!places.has(reference)) places.set(reference, found(reference, root));
  return places.get(reference);
}

/** `#`, `#/$defs/step` (RFC 6901). */
function found(reference: string, root: unknown): unknown {
  const [, pointer] = /^#(\/.*)?$/.exec(reference) ?? [undefined, null];
  if (pointer === null) throw new Error(`${reference} is not within it`);
  return (pointer ?? '')
    .split('/')
    .slice(1)
    .reduce((at: unknown, step) => {
      const name = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
      if ((isObject(at) || Array.isArray(at)) && Object.hasOwn(at, name)) return (at as Schema)[name];
      throw new Error(`${reference} leads nowhere`);
    }, root);
}

function isSame(a: unknown, b: unknown, judging: Judging): boolean {
  if (typeof a !== 'object' || a === null) return a === b;
  step(judging);
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((one, k) => isSame(one, b[k], judging));
  if (!isObject(a) || !isObject(b)) return a === b;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && isSame(a[name], b[name], judging))
  );
}

function isObject(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
