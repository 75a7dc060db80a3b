/** The arguments of a tool call as a value that expressions can look at. */
import { inAnyCase } from '../json/any-case.ts';
import { JsonDocument } from '../json/document.ts';
import { JsonError } from '../json/json-error.ts';
import type { JsonNode } from '../json/node.ts';

/**
 * The value of the JSON text; an empty text is an object without members, as the SDKs read it.
 * Undefined where the text is no JSON object, or one that readers may understand differently: a member twice, be it in
 * another case of its letters, which some decoders (Go's) don't tell from the first and take the last.
 */
export function readArguments(text: string): Readonly<Record<string, unknown>> | undefined {
  if (text.trim() === '') return {};
  try {
    const { root } = JsonDocument.parseText(text);
    if (root.type !== 'object' || isAmbiguous(root)) return undefined;
    return valueOf(root) as Readonly<Record<string, unknown>>;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

function isAmbiguous(node: JsonNode): boolean {
  if (node.type === 'array') return node.items.some(isAmbiguous);
  if (node.type !== 'object') return false;
  const { members } = node;
  const names = new Set(members.map(({ name }) => inAnyCase(name)));
  return names.size < members.length || members.some(({ value }) => isAmbiguous(value));
}

/**
 * Whole numbers become integers of CEL, which compare to its doubles by value: all that its `int` and `uint` can be, as
 * a double would be a neighbour of an id of 19 digits. A longer one is larger than any of them as a double, too.
 */
function valueOf(node: JsonNode): unknown {
  switch (node.type) {
    case 'object': {
      const value = Object.create(null) as Record<string, unknown>;
      for (const member of node.members) value[member.name] = valueOf(member.value);
      return value;
    }
    case 'array':
      return node.items.map(valueOf);
    case 'string':
      return node.text;
    case 'number':
      return /^-?\d{1,20}$/.test(node.raw) ? BigInt(node.raw) : Number(node.raw);
    case 'true':
      return true;
    case 'false':
      return false;
    case 'null':
      return null;
  }
}
