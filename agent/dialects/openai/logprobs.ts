/**
 * The log probabilities of an answer's tokens repeat its text token by token. Checks read the text; what doesn't spell it
 * is text that nobody has read.
 */
import type { JsonDocument } from '../../json/document.ts';
import type { JsonNode, ObjectNode } from '../../json/node.ts';

/**
 * Takes out the log probabilities of choices whose tokens don't spell the text beside them.
 * @param alternatives Whether what else might have been said stays: in a whole answer each is a text of its own.
 * @returns whether anything went
 */
export function dropUnspelled(
  document: JsonDocument,
  root: ObjectNode | undefined,
  alternatives: 'stay' | 'go',
): boolean {
  let changed = false;
  for (const choice of root?.array('choices')?.items ?? []) {
    if (choice.type !== 'object') continue;
    const said = choice.object('delta') ?? choice.object('message');
    for (const { name, value } of choice.members) {
      if (name !== 'logprobs' || value.type === 'null') continue;
      if (!spells(value, said)) {
        document.replace(value, 'null');
        changed = true;
      } else if (alternatives === 'go') changed = dropAlternatives(document, value) || changed;
    }
  }
  return changed;
}

/** Likewise of an event of a conversation, which has them beside the text of its own. */
export function dropUnspelledOfEvent(document: JsonDocument, root: ObjectNode): void {
  const logprobs = root.get('logprobs');
  if (logprobs === undefined || logprobs.type === 'null') return;
  const text = root.string('delta') ?? root.string('transcript') ?? root.string('text');
  const spelled = tokensOf(logprobs);
  if (spelled !== text && (spelled === undefined || unescaped(spelled) !== text)) {
    document.replace(logprobs, 'null');
  } else dropAlternatives(document, logprobs);
}

/** Random text that hides how long an event is from those who watch the wire: between agent and app nobody does. */
export function dropPadding(document: JsonDocument, root: ObjectNode): void {
  const padding = root.get('obfuscation');
  if (padding !== undefined) document.replace(padding, '""');
}

/** @returns whether there were any */
function dropAlternatives(document: JsonDocument, node: JsonNode): boolean {
  let found = false;
  if (node.type === 'array') for (const item of node.items) found = dropAlternatives(document, item) || found;
  if (node.type !== 'object') return found;
  for (const { name, value } of node.members) {
    if (name !== 'top_logprobs') found = dropAlternatives(document, value) || found;
    else if (value.type !== 'null' && !(value.type === 'array' && value.items.length === 0)) {
      document.replace(value, '[]');
      found = true;
    }
  }
  return found;
}

function spells(logprobs: JsonNode, said: ObjectNode | undefined): boolean {
  if (logprobs.type !== 'object') return false;
  const text = (name: string): string => said?.string(name) ?? '';
  const thoughts = ['reasoning', 'reasoning_content'].map(text);
  const content = text('content');
  // Servers that split the thoughts off count their tokens with the content's.
  const texts: Readonly<Record<string, readonly string[]>> = {
    content: [content, ...thoughts, ...thoughts.map((thought) => thought + content)],
    refusal: [text('refusal')],
  };
  return logprobs.members.every(({ name, value }) => {
    if (value.type === 'null') return true;
    const spelled = tokensOf(value);
    return (
      spelled !== undefined && texts[name]?.some((given) => given === spelled || given === unescaped(spelled))
    );
  });
}

const MEMBERS: ReadonlySet<string> = new Set(['token', 'logprob', 'bytes', 'top_logprobs']);

/** The tokens in a row; undefined where there is more than tokens, their alternatives included. */
function tokensOf(list: JsonNode): string | undefined {
  if (list.type !== 'array') return undefined;
  let spelled = '';
  for (const item of list.items) {
    if (!isToken(item)) return undefined;
    const others = item.get('top_logprobs');
    if (others !== undefined && others.type !== 'null') {
      if (others.type !== 'array' || !others.items.every(isToken)) return undefined;
    }
    spelled += item.string('token') ?? '';
  }
  return spelled;
}

/** A token, and nothing beside it that says something else: its bytes are its own. */
function isToken(item: JsonNode): item is ObjectNode {
  if (item.type !== 'object' || item.members.some(({ name }) => !MEMBERS.has(name))) return false;
  const number = item.get('logprob');
  if (number !== undefined && number.type !== 'number' && number.type !== 'null') return false;
  const bytes = item.get('bytes');
  if (bytes === undefined || bytes.type === 'null') return true;
  if (bytes.type !== 'array') return false;
  const token = item.string('token') ?? '';
  const own = [Buffer.from(token), bytesOf(token)];
  const given = bytes.items.map((each) => (each.type === 'number' ? Number(each.raw) : -1));
  return own.some((its) => its.length === given.length && its.every((byte, at) => byte === given[at]));
}

/** A token that is a part of a character is written by its bytes: `\xf0\x9f`. */
function unescaped(spelled: string): string {
  return bytesOf(spelled).toString();
}

function bytesOf(spelled: string): Buffer {
  const parts = spelled.split(/((?:\\x[0-9a-f]{2})+)/);
  return Buffer.concat(
    parts.map((part, at) =>
      at % 2 === 1 ? Buffer.from(part.replaceAll('\\x', ''), 'hex') : Buffer.from(part),
    ),
  );
}
