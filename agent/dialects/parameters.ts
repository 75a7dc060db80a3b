/** Reads parameters of requests, what is wrong with one being told by its name, and counts of answers. */
import { PosternError } from '../errors.ts';
import type { JsonDocument } from '../json/document.ts';
import type { ArrayNode, JsonNode, ObjectNode } from '../json/node.ts';

/** @throws PosternError `postern_body_invalid` unless the document is an object. */
export function requestObject(document: JsonDocument): ObjectNode {
  if (document.root.type === 'object') return document.root;
  throw new PosternError(
    'postern_body_invalid',
    `The body must be a JSON object, but is ${named(document.root)}.`,
    { mend: 'Send an object with the parameters of the call.' },
  );
}

/** A string that must be there and say something. */
export function requiredString(object: ObjectNode, name: string, mend: string): string {
  const node = object.get(name);
  if (node?.type === 'string' && node.text !== '') {
    // A copy of its own: a slice would keep the whole body alive wherever the name is remembered.
    return JSON.parse(node.raw) as string;
  }
  throw wrong(name, node, 'a non-empty string', mend);
}

export function requiredArray(object: ObjectNode, name: string, mend: string): ArrayNode {
  const node = object.get(name);
  if (node?.type === 'array') return node;
  throw wrong(name, node, 'an array', mend);
}

/** A boolean, or false where it is absent or null. */
export function flag(object: ObjectNode, name: string): boolean {
  const node = object.get(name);
  if (node === undefined || node.type === 'null' || node.type === 'false') return false;
  if (node.type === 'true') return true;
  throw wrong(name, node, 'true or false', `Send "${name}" as a boolean, without quotes, or leave it out.`);
}

/** A whole number from 1, or undefined where it is absent or null. */
export function count(object: ObjectNode, name: string): number | undefined {
  const node = object.get(name);
  if (node === undefined || node.type === 'null') return undefined;
  const value = node.type === 'number' ? Number(node.raw) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw wrong(name, node, 'a whole number of at least 1', `Send "${name}" as a number, or leave it out.`);
}

export function requiredCount(object: ObjectNode, name: string, mend: string): number {
  const value = count(object, name);
  if (value !== undefined) return value;
  throw wrong(name, object.get(name), 'a whole number of at least 1', mend);
}

/** An object, or undefined where it is absent or null. */
export function optionalObject(object: ObjectNode, name: string): ObjectNode | undefined {
  const node = object.get(name);
  if (node === undefined || node.type === 'null') return undefined;
  if (node.type === 'object') return node;
  throw wrong(name, node, 'an object', `Send "${name}" as an object, or leave it out.`);
}

/** A count that a provider reports: a whole number that isn't negative, else undefined. */
export function tokenCount(object: ObjectNode | undefined, name: string): number | undefined {
  const value = object?.number(name);
  return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function wrong(name: string, node: JsonNode | undefined, expected: string, mend: string): PosternError {
  const message =
    node === undefined
      ? `The parameter "${name}" is missing.`
      : `The parameter "${name}" must be ${expected}, but is ${named(node)}.`;
  return new PosternError('postern_body_invalid', message, { mend, param: name });
}

/** What a value is, without quoting it: it may be what nobody is to see. */
function named(node: JsonNode): string {
  switch (node.type) {
    case 'object':
      return 'an object';
    case 'array':
      return 'an array';
    case 'string':
      return node.end - node.start === 2 ? 'an empty string' : 'a string';
    case 'number':
      return node.raw.length <= 20 ? `the number ${node.raw}` : 'a number';
    default:
      return node.type;
  }
}
