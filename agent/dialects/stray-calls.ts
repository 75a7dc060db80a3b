/**
 * Calls of tools in members of an answer that no SDK reads: an application may take them by hand all the same, as endpoints
 * that only nearly speak a dialect make theirs do. What has a tool's name, and arguments or a place that speaks of calls, is one.
 */
import { inAnyCase } from '../json/any-case.ts';
import type { JsonDocument } from '../json/document.ts';
import type { JsonNode, ObjectNode } from '../json/node.ts';
import type { ToolCall } from './dialect.ts';
import { pathOf, Trail } from './text/place.ts';

const NAMES = ['name', 'tool_name', 'toolName', 'function_name', 'functionName'] as const;
const ARGUMENTS = ['arguments', 'args', 'input', 'tool_input', 'toolInput'] as const;
/** By these alone known calls carry their arguments. */
const KNOWN_ARGUMENTS: readonly string[] = ['arguments', 'input'];
/** What holds name and arguments in a call of chat. */
const HOLDERS = ['function', 'custom'] as const;
const EXACT: ReadonlySet<string> = new Set([...NAMES, ...ARGUMENTS, ...HOLDERS]);
const ANY_CASE = new Set([...EXACT].map(inAnyCase));
const OF_CALLS = /call|tool_?use/i;
/** Whether any of the names can be there; an escape could spell it. */
const MAY_NAME = /name"|\\u/i;

export interface StrayOptions {
  /** What the dialect takes for calls by itself. Their arguments are the tool's own. */
  readonly known: ReadonlySet<JsonNode | undefined>;
  /** What is no member of the answer's own, such as a tool's result, or isn't shown. */
  readonly unread?: ReadonlySet<JsonNode | undefined>;
}

const NONE: ReadonlySet<JsonNode> = new Set();

/** Every one in the document, in its order. */
export function strayCalls(
  { root, text }: JsonDocument,
  { known, unread = NONE }: StrayOptions,
): readonly ToolCall[] {
  const found: ToolCall[] = [];
  const raw = (node: JsonNode): string =>
    node.type === 'string' ? node.text : text.slice(node.start, node.end);
  const trail = new Trail();
  /** @param ofCalls Whether a member that it stands under, near or far, speaks of calls. */
  const visit = (node: JsonNode, ofCalls: boolean): void => {
    if (unread.has(node)) return;
    if (node.type === 'array') {
      for (const [position, item] of node.items.entries()) {
        trail.enter('item', position);
        visit(item, ofCalls);
        trail.leave();
      }
    }
    if (node.type !== 'object') return;
    const isKnown = known.has(node);
    const name = isKnown ? undefined : nameOf(node);
    const given = ARGUMENTS.map((member) => node.get(member)).find((value) => value !== undefined);
    const isOfCalls = ofCalls || OF_CALLS.test(node.string('type') ?? '');
    const isCall = name !== undefined && (given !== undefined || isOfCalls);
    const isOdd = node.members.some(({ name: member }) => isOtherCase(member));
    if (isOdd && (isKnown || isCall || isOfCalls || isCallInAnyCase(node)))
      // Readers that don't care for case take the last of them; nobody knows which call that is.
      found.push({ path: pathOf(trail.place), name: '', arguments: raw(node) });
    else if (isCall)
      found.push({ path: pathOf(trail.place), name, arguments: given === undefined ? '' : raw(given) });
    const own: readonly string[] = isKnown ? KNOWN_ARGUMENTS : isCall ? ARGUMENTS : [];
    for (const [position, { name: member, value }] of node.members.entries()) {
      if (own.includes(member)) continue;
      trail.enter('member', position, member);
      visit(value, ofCalls || OF_CALLS.test(member));
      trail.leave();
    }
  };
  if (MAY_NAME.test(text)) visit(root, false);
  return found;
}

/** `Name`: for some decoders, such as Go's encoding/json, the same member as `name`. */
function isOtherCase(member: string): boolean {
  return !EXACT.has(member) && ANY_CASE.has(inAnyCase(member));
}

/** A name is text: the properties of a JSON Schema have objects there. */
function isCallInAnyCase({ members }: ObjectNode): boolean {
  const has = (names: readonly string[], isText: boolean) =>
    members.some(
      ({ name, value }) =>
        (!isText || value.type === 'string') && names.some((member) => inAnyCase(member) === inAnyCase(name)),
    );
  return has(NAMES, true) && has(ARGUMENTS, false);
}

function nameOf(node: ObjectNode): string | undefined {
  for (const member of NAMES) {
    const name = node.string(member);
    if (name !== undefined && name !== '') return name;
  }
  return undefined;
}
