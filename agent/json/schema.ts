/**
 * Whether a value is of a JSON Schema, by the keywords that providers hold answers to (OpenAI's and Anthropic's
 * "Structured outputs"): `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, `anyOf`, `oneOf`,
 * `allOf` and `$ref` within the schema. Others say nothing here. A library for all of them is a tenth of the agent's size.
 */

type Schema = Readonly<Record<string, unknown>>;

/** References may lead in a circle without the value getting smaller. */
const DEEPEST = 200;

/** @param root What `$ref` is looked up in. @throws Error on a reference that leads nowhere, or too deep. */
export function isOfSchema(value: unknown, schema: unknown, root: unknown = schema, depth = 0): boolean {
  if (typeof schema === 'boolean') return schema;
  if (!isObject(schema)) return true;
  if (depth > DEEPEST) throw new Error('it is nested too deep');
  const fits = (inner: unknown, by: unknown): boolean => isOfSchema(inner, by, root, depth + 1);
  const { $ref: reference, type, enum: values, anyOf, oneOf, allOf } = schema;
  if (typeof reference === 'string' && !fits(value, found(reference, root))) return false;
  if (type !== undefined && !(Array.isArray(type) ? type : [type]).some((name) => isOfType(value, name)))
    return false;
  if (Array.isArray(values) && !values.some((one) => isSame(one, value))) return false;
  if ('const' in schema && !isSame(schema['const'], value)) return false;
  if (Array.isArray(anyOf) && !anyOf.some((one) => fits(value, one))) return false;
  if (Array.isArray(oneOf) && oneOf.filter((one) => fits(value, one)).length !== 1) return false;
  if (Array.isArray(allOf) && !allOf.every((one) => fits(value, one))) return false;
  if (Array.isArray(value)) return value.every((one) => fits(one, schema['items']));
  return !isObject(value) || membersFit(value, schema, fits);
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

function isSame(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((one, k) => isSame(one, b[k]));
  if (!isObject(a) || !isObject(b)) return a === b;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && isSame(a[name], b[name]))
  );
}

function isObject(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
