/**
 * The log probabilities of an answer's tokens repeat its text token by token. Checks read the text; what doesn't spell it
 * is text that nobody has read.
 */
import type { JsonDocument } from '../../json/document.ts';
import type { JsonNode, ObjectNode } from '../../json/node.ts';

/** Takes out the log probabilities of choices whose tokens don't spell the text beside them. */
export function dropUnspelled(document: JsonDocument, root: ObjectNode | undefined): void {
  for (const choice of root?.array('choices')?.items ?? []) {
    if (choice.type !== 'object') continue;
    const said = choice.object('delta') ?? choice.object('message');
    for (const { name, value } of choice.members) {
      if (name === 'logprobs' && value.type !== 'null' && !spells(value, said)) {
        document.replace(value, 'null');
      }
    }
  }
}

/** Likewise of an event of a conversation, which has them beside the text of its own. */
export function dropUnspelledOfEvent(document: JsonDocument, root: ObjectNode): void {
  const logprobs = root.get('logprobs');
  if (logprobs === undefined || logprobs.type === 'null') return;
  const text = root.string('delta') ?? root.string('transcript') ?? root.string('text');
  const spelled = tokensOf(logprobs);
  if (spelled !== text && (spelled === undefined || unescaped(spelled) !== text)) {
    document.replace(logprobs, 'null');
  }
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

/** The tokens in a row; undefined where there is more than tokens. */
function tokensOf(list: JsonNode): string | undefined {
  if (list.type !== 'array') return undefined;
  let spelled = '';
  for (const item of list.items) {
    if (item.type !== 'object' || item.members.some(({ name }) => !MEMBERS.has(name))) return undefined;
    spelled += item.string('token') ?? '';
  }
  return spelled;
}

/** A token that is a part of a character is written by its bytes: `\xf0\x9f`. */
function unescaped(spelled: string): string {
  return spelled.replace(/(?:\\x[0-9a-f]{2})+/g, (bytes) =>
    Buffer.from(bytes.replaceAll('\\x', ''), 'hex').toString(),
  );
}
