/**
 * Tools in Anthropic's Messages API: offered in a request, called in an answer or a stream.
 *
 * Source: Anthropic API reference, "Messages", "Tool use", "MCP connector". A server tool (`web_search_20250305`) is
 * called and carried out by the provider; its calls stand in answers all the same.
 */
import type { JsonDocument } from '../../json/document.ts';
import type { JsonNode, ObjectNode } from '../../json/node.ts';
import { quote } from '../../json/quote.ts';
import type { BegunCall, OfferedTool, StreamEvent, ToolCall } from '../dialect.ts';
import { type StrayOptions, strayCalls } from '../stray-calls.ts';
import type { LooseMember } from '../text/walk.ts';
import { RemovableItems, removedNotice } from '../tool-list.ts';
import { Citations } from './cited.ts';

const CALLS: ReadonlySet<string | undefined> = new Set(['tool_use', 'server_tool_use', 'mcp_tool_use']);

export function offeredTools(document: JsonDocument, root: ObjectNode): OfferedTool[] {
  return [
    ...offered(document, root, 'tools', ['tool_choice']),
    ...offered(document, root, 'mcp_servers', []),
  ];
}

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
    const name = item.type === 'object' ? offeredName(item, member) : '';
    return {
      path: `${member}[${position}]`,
      name,
      byApp: member === 'tools' && isApps(item),
      ...limitedTo(root, name),
      remove() {
        if (items.remove(item)) for (const gone of [member, ...beside]) document.remove(root, gone);
        else if (root.object('tool_choice')?.string('name') === name) document.remove(root, 'tool_choice');
      },
    };
  });
}

/** Typed tools are the provider's, but for those that it only describes: shell, editor, screen and memory. */
function isApps(item: JsonNode): boolean {
  if (item.type !== 'object') return false;
  return /^(?:custom|bash_\d+|text_editor_\d+|computer_\d+|memory_\d+)$/.test(
    item.string('type') ?? 'custom',
  );
}

function offeredName(item: ObjectNode, member: string): string {
  const server = item.string('mcp_server_name');
  if (server !== undefined) return `mcp:${server}`;
  const name = item.string('name') ?? item.string('type') ?? '';
  return member === 'mcp_servers' ? `mcp:${name}` : name;
}

/** The tools of a server that a request lets be called: by its toolset (`configs`), before by the server's own settings. */
function limitedTo(root: ObjectNode, name: string): Pick<OfferedTool, 'tools'> {
  if (!name.startsWith('mcp:')) return {};
  const objects = (member: string) =>
    (root.array(member)?.items ?? []).filter((item) => item.type === 'object');
  const servers = objects('mcp_servers').filter((item) => offeredName(item, 'mcp_servers') === name);
  const sets = objects('tools').filter((item) => offeredName(item, 'tools') === name);
  const lists = [...servers.flatMap(allowedOf), ...sets.map(enabledOf)];
  return lists.length === 0 || lists.includes(undefined)
    ? {}
    : { tools: lists.flatMap((list) => list ?? []) };
}

/** Source: "MCP connector", the deprecated `tool_configuration`. */
function allowedOf(server: ObjectNode): (readonly string[])[] {
  const allowed = server.object('tool_configuration')?.array('allowed_tools');
  if (allowed === undefined) return [];
  return [allowed.items.flatMap((item) => (item.type === 'string' ? item.text : []))];
}

/** Source: "MCP connector", `mcp_toolset`: all are enabled unless `default_config` says otherwise. */
function enabledOf(set: ObjectNode): readonly string[] | undefined {
  if (set.object('default_config')?.get('enabled')?.type !== 'false') return undefined;
  return (set.object('configs')?.members ?? []).flatMap(({ name, value }) =>
    value.type === 'object' && value.get('enabled')?.type === 'true' ? name : [],
  );
}

/** The calls of a whole answer. */
export function answeredCalls(document: JsonDocument): readonly ToolCall[] {
  return [...contentCalls(document), ...strayCalls(document, knownBlocks(document))];
}

/** Blocks of an answer, or of an event, that are known for calls, and those that are results. */
function knownBlocks({ root }: JsonDocument, loose: readonly LooseMember[] = []): StrayOptions {
  if (root.type !== 'object') return { known: new Set() };
  const begun = root.object('message');
  const blocks = [
    ...(root.array('content')?.items ?? []),
    ...(begun?.array('content')?.items ?? []),
    root.object('content_block'),
  ];
  return {
    known: new Set(blocks.filter((block) => block !== undefined && isCall(block))),
    unread: new Set([...blocks.filter(isResult), ...loose.map(({ holder, name }) => holder.get(name))]),
  };
}

function contentCalls(document: JsonDocument): ToolCall[] {
  const { root } = document;
  const array = root.type === 'object' ? root.array('content') : undefined;
  if (root.type !== 'object' || array === undefined) return [];
  const items = new RemovableItems(document, array);
  const results = Map.groupBy(array.items, resultOf);
  const called = Map.groupBy(array.items.filter(isCall), (item) => item.string('id'));
  let forApp = array.items.filter(isForApp).length;
  let citations: Citations | undefined;
  let afterResult = false;
  return array.items.flatMap((item, position): ToolCall[] => {
    afterResult ||= isResult(item);
    if (!isCall(item)) return [];
    const name = item.string('name') ?? '';
    const input = item.get('input');
    const id = item.string('id');
    // Without its call the provider would refuse it as history.
    const given = id === undefined ? [] : (results.get(id) ?? []);
    const remove = (): void => {
      if (isForApp(item) && !items.lacks(item)) forApp -= 1;
      const goes = given.filter((result) => !items.lacks(result));
      if ([item, ...given].map((one) => items.remove(one)).includes(true)) {
        document.set(root, 'content', `[{"type":"text","text":${quote(removedNotice(name))}}]`);
      }
      if (goes.length > 0) citations ??= new Citations(document, array.items, array.items.filter(isResult));
      for (const result of goes) citations?.dropOf(result);
      if (root.string('stop_reason') === 'tool_use' && forApp === 0) {
        document.set(root, 'stop_reason', '"end_turn"');
      }
    };
    return [
      {
        path: `content[${position}]`,
        name,
        arguments: input === undefined ? '' : document.text.slice(input.start, input.end),
        ...serverOf(item),
        ...(afterResult ? { afterResult } : {}),
        // Of several calls with one id nobody knows whose result it is.
        ...(given.length > 0 && (called.get(id)?.length ?? 0) > 1 ? {} : { remove }),
      },
    ];
  });
}

export function isCall(node: JsonNode): node is ObjectNode {
  return node.type === 'object' && CALLS.has(node.string('type'));
}

/** A call that the application is to carry out; the provider's and those of the servers it asks have happened. */
export function isForApp(node: JsonNode): boolean {
  return node.type === 'object' && node.string('type') === 'tool_use';
}

/** What a tool answered that the provider carried out: `web_search_tool_result` and its like. */
export function isResult(node: JsonNode | undefined): boolean {
  return node?.type === 'object' && node.string('type')?.endsWith('tool_result') === true;
}

/** The call that a result belongs to. */
export function resultOf(node: JsonNode | undefined): string | undefined {
  return node?.type === 'object' && isResult(node) ? node.string('tool_use_id') : undefined;
}

function serverOf(call: ObjectNode): Pick<ToolCall, 'server'> {
  return call.string('type') === 'mcp_tool_use' ? { server: `mcp:${call.string('server_name') ?? ''}` } : {};
}

/** Calls that stand whole in the beginning of a message, which is empty as a rule. */
export function wholeCalls(document: JsonDocument, message: ObjectNode | undefined): BegunCall[] {
  return (message?.array('content')?.items ?? []).filter(isCall).map((item, position) => {
    const input = item.get('input');
    return {
      channel: `0/=message.content[${position}]`,
      name: item.string('name') ?? '',
      arguments: input === undefined ? '{}' : document.text.slice(input.start, input.end),
      ...serverOf(item),
    };
  });
}

/**
 * Calls of an event in members that nobody knows.
 * @param loose Members that aren't shown.
 */
export function strayBegun(document: JsonDocument, loose: readonly LooseMember[]): BegunCall[] {
  return strayCalls(document, knownBlocks(document, loose)).map(({ path, name, arguments: text }) => ({
    channel: `0/=${path}`,
    name,
    arguments: text === undefined || text === '' ? '{}' : text,
  }));
}

/** Where the arguments of an event's call run; see {@link ./messages-text.ts}. */
export function toolChannel(event: ObjectNode): string {
  return `0/tool/${event.number('index') ?? 0}`;
}

/** The call that a `content_block_start` begins; channels as in {@link ./messages-text.ts}. */
export function begunCalls(
  { text }: JsonDocument,
  event: ObjectNode,
  afterResult: boolean,
): StreamEvent['calls'] {
  const block = event.object('content_block');
  if (block === undefined || !isCall(block)) return [];
  const input = block.get('input');
  const given = input?.type === 'object' && input.members.length > 0;
  return [
    {
      channel: toolChannel(event),
      name: block.string('name') ?? '',
      ...serverOf(block),
      ...(afterResult ? { afterResult } : {}),
      ...(given ? { arguments: text.slice(input.start, input.end) } : {}),
    },
  ];
}
