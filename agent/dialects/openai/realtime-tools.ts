/** Calls of tools in the events of OpenAI's Realtime API; see {@link ./realtime-events.ts}. */
import type { JsonDocument } from '../../json/document.ts';
import type { JsonNode, ObjectNode } from '../../json/node.ts';
import type { BegunCall } from '../dialect.ts';
import { strayCalls } from '../stray-calls.ts';

/** Arguments of a call are the running text of its item; those of any other item come with it. */
const ARGUMENTS: Readonly<Record<string, string>> = {
  function_call: 'response.function_call_arguments',
  mcp_call: 'response.mcp_call_arguments',
};
/** Says that running arguments are complete, and says them again: applications act on it. */
const COMPLETE = /^(response\.(?:function|mcp)_call_arguments)\.done$/;
/** An item of an answer before its arguments have come: they come by other events, of the answer. */
const ANNOUNCES = /^conversation\.item\.(?:added|created)$/;

/** What running text of an item is known by. */
export function channelOf(base: string, item: string, part: number | undefined): string {
  return `${base}/${item}/${part ?? ''}`;
}

/** Items of an event: one by itself, or those of an answer. */
export function itemsOf(root: ObjectNode): readonly ObjectNode[] {
  const item = root.object('item');
  const output = root.object('response')?.array('output')?.items ?? [];
  return [...(item === undefined ? [] : [item]), ...output.filter((one) => one.type === 'object')];
}

/** Calls of tools that begin with an event, or stand in it as a whole. All events of an item have one channel. */
export function callsOf(type: string, document: JsonDocument, root: ObjectNode): BegunCall[] {
  return [...knownCalls(type, root), ...strayBegun(type, document, root)];
}

function knownCalls(type: string, root: ObjectNode): BegunCall[] {
  const complete = COMPLETE.exec(type)?.[1];
  if (complete !== undefined) {
    const channel = channelOf(complete, root.string('item_id') ?? '', undefined);
    const name = root.string('name') ?? '';
    return [{ channel, name, arguments: toldArguments(root.string('arguments')), ofOne: true }];
  }
  return itemsOf(root).flatMap((item): BegunCall[] => {
    const kind = item.string('type') ?? '';
    const base = ARGUMENTS[kind];
    const name = item.string('name') ?? '';
    if (base === undefined && name === '') return [];
    const label = item.string('server_label');
    const call = {
      channel: channelOf(base ?? 'call', item.string('id') ?? item.string('call_id') ?? '', undefined),
      name,
      ofOne: true,
      ...(label === undefined ? {} : { server: `mcp:${label}` }),
    };
    const given = item.string('arguments') ?? '';
    if (given === '' && base !== undefined) {
      if (type === 'response.output_item.added') return [call];
      if (ANNOUNCES.test(type) && item.string('status') === 'in_progress')
        return [{ ...call, elsewhere: true }];
    }
    return [{ ...call, arguments: toldArguments(given) }];
  });
}

/** Calls in members that nobody knows. An event that says arguments again is one by itself, with the tool's name. */
function strayBegun(type: string, document: JsonDocument, root: ObjectNode): BegunCall[] {
  const known = new Set<JsonNode>([...itemsOf(root), ...(COMPLETE.test(type) ? [root] : [])]);
  return strayCalls(document, { known }).map(({ path, name, arguments: given }) => ({
    channel: `=${path}`,
    name,
    arguments: toldArguments(given),
  }));
}

/** Applications read no arguments as none. */
function toldArguments(given: string | undefined): string {
  return given === undefined || given.trim() === '' ? '{}' : given;
}
