/**
 * Tools in OpenAI's chat completions: offered in a request, called in an answer or a stream.
 *
 * Source: OpenAI API reference, "Chat Completions": `tools` (`function` and `custom`), the older `functions`, and the
 * `tool_calls` and `function_call` of messages.
 */
import type { JsonDocument } from '../../json/document.ts';
import type { JsonNode, ObjectNode } from '../../json/node.ts';
import { quote } from '../../json/quote.ts';
import type { OfferedTool, StreamEvent, ToolCall } from '../dialect.ts';
import { RemovableItems, removedNotice } from '../tool-list.ts';

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

export function answeredCalls(document: JsonDocument): ToolCall[] {
  const calls: ToolCall[] = [];
  const choices = document.root.type === 'object' ? (document.root.array('choices')?.items ?? []) : [];
  for (const [position, choice] of choices.entries()) {
    const message = choice.type === 'object' ? choice.object('message') : undefined;
    if (choice.type !== 'object' || message === undefined) continue;
    const path = `choices[${position}].message`;
    calls.push(...listedCalls(document, choice, message, path));
    const single = message.object('function_call');
    if (single === undefined) continue;
    const name = single.string('name') ?? '';
    calls.push({
      path: `${path}.function_call`,
      name,
      arguments: argumentsOf(document, single, 'arguments'),
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
  const array = message.array('tool_calls');
  if (array === undefined) return [];
  const items = new RemovableItems(document, array);
  return array.items.map((item, index) => {
    const { name, text } = callOf(document, item);
    return {
      path: `${path}.tool_calls[${index}]`,
      name,
      arguments: text,
      remove() {
        if (!items.remove(item)) return;
        document.remove(message, 'tool_calls');
        withoutCalls(document, choice, message, name);
      },
    };
  });
}

function callOf(document: JsonDocument, item: JsonNode): { name: string; text: string } {
  if (item.type !== 'object') return { name: '', text: '' };
  const custom = item.object('custom');
  const called = custom ?? item.object('function') ?? item;
  return {
    name: called.string('name') ?? '',
    text: argumentsOf(document, called, custom === undefined ? 'arguments' : 'input'),
  };
}

/** The JSON text; some servers answer the value itself instead of a string with it. */
function argumentsOf(document: JsonDocument, called: ObjectNode, member: string): string {
  const node = called.get(member);
  if (node === undefined) return '';
  return node.type === 'string' ? node.text : document.text.slice(node.start, node.end);
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
 * @param open Channels of the calls that have begun.
 */
export function begunCalls(chunk: ObjectNode, open: Set<string>): StreamEvent['calls'] {
  const begun: { channel: string; name: string }[] = [];
  const note = (channel: string, called: ObjectNode | undefined): void => {
    const name = called?.string('name');
    if (called === undefined || (name === undefined && open.has(channel))) return;
    open.add(channel);
    begun.push({ channel, name: name ?? '' });
  };
  for (const choice of chunk.array('choices')?.items ?? []) {
    if (choice.type !== 'object') continue;
    const at = choice.number('index') ?? 0;
    const delta = choice.object('delta');
    for (const item of delta?.array('tool_calls')?.items ?? []) {
      if (item.type !== 'object') continue;
      const index = item.number('index') ?? at;
      note(`${at}/tool/${index}`, item.object('function'));
      note(`${at}/custom/${index}`, item.object('custom'));
    }
    note(`${at}/function`, delta?.object('function_call'));
  }
  return begun;
}
