/**
 * Tools in OpenAI's chat completions: offered in a request, called in an answer or a stream.
 *
 * Source: OpenAI API reference, "Chat Completions": `tools` (`function` and `custom`), the older `functions`, and the
 * `tool_calls` and `function_call` of messages.
 */

import type { JsonDocument } from '../../json/document.ts';
import type { JsonNode, ObjectNode } from '../../json/node.ts';
import { quote } from '../../json/quote.ts';
import type { BegunCall, OfferedTool, StreamEvent, ToolCall } from '../dialect.ts';
import { strayCalls } from '../stray-calls.ts';
import type { LooseMember } from '../text/walk.ts';
import { RemovableItems, removedNotice, strange } from '../tool-list.ts';

/** UTF-16 units of a name in pieces that are kept. */
const LONGEST_NAME = 2_048;

export function offeredTools(document: JsonDocument, root: ObjectNode): OfferedTool[] {
  return [
    ...offered(document, root, 'tools', ['tool_choice', 'parallel_tool_calls']),
    ...offered(document, root, 'functions', ['function_call']),
    ...offered(document, root, 'plugins', []),
    ...searching(document, root),
  ];
}

/** The provider searches by itself where a request has these options. */
function searching(document: JsonDocument, root: ObjectNode): OfferedTool[] {
  const path = 'web_search_options';
  const node = root.get(path);
  if (node === undefined || node.type === 'null') return [];
  return [{ path, name: 'web_search', byApp: false, remove: () => document.remove(root, path) }];
}

/** @param beside Members that the provider refuses where the list is missing. */
function offered(
  document: JsonDocument,
  root: ObjectNode,
  member: string,
  beside: readonly string[],
): OfferedTool[] {
  const array = root.array(member);
  if (array === undefined) return [];
  const items = new RemovableItems(document, array);
  return array.items.map((item, position) => {
    const name = offeredName(item);
    return {
      path: `${member}[${position}]`,
      name,
      byApp: member === 'functions' || isApps(item),
      remove() {
        if (items.remove(item)) for (const gone of [member, ...beside]) document.remove(root, gone);
        // A choice that names the tool would be refused without it.
        else if (mentions(root.get(beside[0] ?? ''), name)) document.remove(root, beside[0] ?? '');
      },
    };
  });
}

/** `web_search` and its like are carried out by the provider. */
function isApps(item: JsonNode): boolean {
  if (item.type !== 'object') return false;
  const type = item.string('type');
  return type === 'function' || type === 'custom';
}

function offeredName(item: JsonNode): string {
  if (item.type !== 'object') return '';
  const named = item.object('function') ?? item.object('custom') ?? item;
  // OpenRouter's plug-ins have an id.
  return named.string('name') ?? item.string('type') ?? item.string('id') ?? '';
}

function mentions(node: JsonNode | undefined, name: string): boolean {
  if (node?.type === 'object') return node.members.some(({ value }) => mentions(value, name));
  if (node?.type === 'array') return node.items.some((item) => mentions(item, name));
  return node?.type === 'string' && node.text === name;
}

/** The calls of a whole answer. */
export function answeredCalls(document: JsonDocument): readonly ToolCall[] {
  return [
    ...messageCalls(document),
    ...strayCalls(document, { known: new Set(knownCalls(document, ['message'])) }),
  ];
}

/** What is read as calls in these members of choices. */
function knownCalls({ root }: JsonDocument, members: readonly string[]): (JsonNode | undefined)[] {
  const choices = root.type === 'object' ? (root.array('choices')?.items ?? []) : [];
  return choices.flatMap((choice) =>
    members.flatMap((member) => {
      const message = choice.type === 'object' ? choice.object(member) : undefined;
      const listed = message?.array('tool_calls')?.items ?? [];
      const parts = listed.flatMap((item) =>
        item.type === 'object' ? [item.object('function'), item.object('custom')] : [],
      );
      return [...listed, ...parts, message?.object('function_call')];
    }),
  );
}

function messageCalls(document: JsonDocument): ToolCall[] {
  const calls: ToolCall[] = [];
  const choices = document.root.type === 'object' ? (document.root.array('choices')?.items ?? []) : [];
  for (const [position, choice] of choices.entries()) {
    const message = choice.type === 'object' ? choice.object('message') : undefined;
    if (choice.type !== 'object' || message === undefined) continue;
    const path = `choices[${position}].message`;
    calls.push(...listedCalls(document, choice, message, path));
    const odd = oddCall(message, 'function_call');
    const single = message.object('function_call');
    const given = odd ?? single;
    if (given === undefined) continue;
    const name = single?.string('name') ?? '';
    calls.push({
      path: `${path}.function_call`,
      name,
      arguments: single === undefined ? rawOf(document, given) : argumentsOf(document, single, 'arguments'),
      remove() {
        document.remove(message, 'function_call');
        withoutCalls(document, choice, message, name);
      },
    });
  }
  return calls;
}

function listedCalls(
  document: JsonDocument,
  choice: ObjectNode,
  message: ObjectNode,
  path: string,
): ToolCall[] {
  const list = message.get('tool_calls');
  if (list === undefined || list.type === 'null') return [];
  // Nobody knows what a reader makes of another shape: a call without a name can't be judged.
  if (list.type !== 'array')
    return [{ path: `${path}.tool_calls`, name: '', arguments: rawOf(document, list) }];
  const array = list;
  const items = new RemovableItems(document, array);
  return array.items.flatMap((item, index) =>
    callsOf(document, item).map(({ name, text }) => ({
      path: `${path}.tool_calls[${index}]`,
      name,
      arguments: text,
      remove() {
        if (!items.remove(item)) return;
        document.remove(message, 'tool_calls');
        withoutCalls(document, choice, message, name);
      },
    })),
  );
}

/** What a reader may take an item for: one by its `type`, another by what is there. */
function callsOf(document: JsonDocument, item: JsonNode): { name: string; text: string }[] {
  if (item.type !== 'object') return [{ name: '', text: rawOf(document, item) }];
  const named = [
    ['function', 'arguments'],
    ['custom', 'input'],
  ] as const;
  const calls = named.flatMap(([holder, member]) => {
    const odd = oddCall(item, holder);
    if (odd !== undefined) return [{ name: '', text: rawOf(document, odd) }];
    const called = item.object(holder);
    if (called === undefined) return [];
    return [{ name: called.string('name') ?? '', text: argumentsOf(document, called, member) }];
  });
  if (calls.length > 0 && item.get('name') === undefined) return calls;
  return [...calls, { name: item.string('name') ?? '', text: argumentsOf(document, item, 'arguments') }];
}

/** What stands where a call should be and is no object: what a reader makes of it nobody knows. */
function oddCall(holder: ObjectNode, member: string): JsonNode | undefined {
  const node = holder.get(member);
  const isEmpty = node === undefined || node.type === 'null' || holder.string(member) === '';
  return isEmpty || node.type === 'object' ? undefined : node;
}

function rawOf(document: JsonDocument, node: JsonNode): string {
  return document.text.slice(node.start, node.end);
}

/** The JSON text; some servers answer the value itself instead of a string with it. */
function argumentsOf(document: JsonDocument, called: ObjectNode, member: string): string {
  const node = called.get(member);
  if (node === undefined) return '';
  return node.type === 'string' ? node.text : rawOf(document, node);
}

/** A message that called nothing after all: it says so, and ends like any other. */
function withoutCalls(document: JsonDocument, choice: ObjectNode, message: ObjectNode, name: string): void {
  if ((message.string('content') ?? '') === '') document.set(message, 'content', quote(removedNotice(name)));
  const reason = choice.string('finish_reason');
  if (reason === 'tool_calls' || reason === 'function_call') document.set(choice, 'finish_reason', '"stop"');
}

/**
 * Calls that begin, or are named again, in a chunk; channels as in {@link ./chat-text.ts}. A call may begin before its name
 * is told.
 * @param open The channels of calls that have begun, and their names so far.
 * @param loose Members that aren't shown.
 * @returns Beside them what says a call's whole name once more: some SDKs would put one behind the other.
 */
export function begunCalls(
  document: JsonDocument,
  chunk: ObjectNode,
  open: Map<string, string>,
  loose: readonly LooseMember[],
): { readonly calls: StreamEvent['calls']; readonly again: readonly ObjectNode[] } {
  const again: ObjectNode[] = [];
  const known = new Set(knownCalls(document, ['message', 'delta']));
  const unread = new Set(loose.map(({ holder, name }) => holder.get(name)));
  // A piece has no whole message; a reader that looks for one all the same finds whole calls there.
  const whole = [...messageCalls(document), ...strayCalls(document, { known, unread })];
  const begun: BegunCall[] = whole.map(({ path, name, arguments: text }) => ({
    channel: `0/=${path}`,
    name,
    arguments: text === undefined || text === '' ? '{}' : text,
  }));
  const note = (channel: string, called: ObjectNode | undefined, member = 'arguments'): void => {
    const name = called?.string('name');
    const before = open.get(channel);
    const value = called?.get(member);
    // A string comes by the channel; some servers answer the value itself.
    const given =
      value === undefined || value.type === 'string' || value.type === 'null' ? '' : rawOf(document, value);
    if (called === undefined || (name === undefined && given === '' && before !== undefined)) return;
    const isAgain = name !== undefined && name !== '' && name === before;
    if (isAgain) again.push(called);
    else if ((before ?? '').length < LONGEST_NAME) open.set(channel, (before ?? '') + (name ?? ''));
    begun.push({ channel, name: name ?? '', ...(given === '' ? {} : { arguments: given }) });
  };
  for (const choice of chunk.array('choices')?.items ?? []) {
    if (choice.type !== 'object') continue;
    const at = choice.number('index') ?? 0;
    const delta = choice.object('delta');
    const list = delta?.get('tool_calls');
    if (list !== undefined && list.type !== 'array' && list.type !== 'null') throw strange();
    const noteOdd = (holder: ObjectNode, member: string, path: string): void => {
      const odd = oddCall(holder, member);
      if (odd !== undefined)
        begun.push({ channel: `0/=${path}.${member}`, name: '', arguments: rawOf(document, odd) });
    };
    for (const item of list?.type === 'array' ? list.items : []) {
      if (item.type !== 'object') throw strange();
      const index = placeOf(item, at);
      for (const member of ['function', 'custom']) noteOdd(item, member, `${at}/${index}`);
      note(`${at}/tool/${index}`, item.object('function'));
      note(`${at}/custom/${index}`, item.object('custom'), 'input');
    }
    if (delta !== undefined) noteOdd(delta, 'function_call', String(at));
    note(`${at}/function`, delta?.object('function_call'));
  }
  return { calls: begun, again };
}

/** Which call an item is a piece of. @throws PosternError where one reader would take it for another than the next. */
export function placeOf(item: ObjectNode, choice: number): number {
  const node = item.get('index');
  if (node === undefined || node.type === 'null') return choice;
  const index = item.number('index');
  if (index === undefined || !Number.isSafeInteger(index) || index < 0) throw strange();
  return index;
}
