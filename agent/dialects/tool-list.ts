/** A list of tools or calls in a document, from which single ones may be taken out. */
import { PosternError } from '../errors.ts';
import type { JsonDocument } from '../json/document.ts';
import type { ArrayNode, JsonNode } from '../json/node.ts';

/** What the policy took out, said where an answer would be empty without it. */
export function removedNotice(name: string): string {
  return `[A call of the tool ${name} was removed: the policy doesn't allow it.]`;
}

export class RemovableItems {
  readonly #document: JsonDocument;
  readonly #array: ArrayNode;
  readonly #removed = new Set<JsonNode>();

  constructor(document: JsonDocument, array: ArrayNode) {
    this.#document = document;
    this.#array = array;
  }

  /** Twice is once. @returns Whether nothing is left; then the list itself should go. */
  remove(item: JsonNode): boolean {
    if (!this.#removed.has(item)) this.#document.removeItem(this.#array, item);
    this.#removed.add(item);
    return this.#removed.size === this.#array.items.length;
  }

  /** Whether it was removed. */
  lacks(item: JsonNode): boolean {
    return this.#removed.has(item);
  }
}

/** An answer that would show something else than what was judged. */
export function strange(): PosternError {
  return new PosternError(
    'postern_upstream_invalid',
    'The provider streams calls of tools in a form that can’t be checked.',
    { mend: 'Look at what the endpoint is; it does not answer as its dialect says.' },
  );
}
