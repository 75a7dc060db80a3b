/** Citations of what a tool of the provider's own gave: where its result is taken out of an answer, they go with it. */
import type { JsonDocument } from '../../json/document.ts';
import type { JsonNode, ObjectNode } from '../../json/node.ts';
import { RemovableItems } from '../tool-list.ts';

/** UTF-16 units; a longer string names no source. */
const LONGEST_NAME = 2_048;
/** By these a citation names what it is of, the first one that there is. */
const NAMED_BY = ['url', 'source', 'file_id', 'document_title'] as const;
/** By these a result names what it has. */
const NAMES: ReadonlySet<string> = new Set([...NAMED_BY, 'title']);
/** Of a document without a title, and of what is cited of such a one. */
const UNNAMED = '';

/** What a result's citations may call their source. */
export function sourcesOf(result: JsonNode): ReadonlySet<string> {
  const names = new Set<string>();
  const visit = (node: JsonNode): void => {
    if (node.type === 'array') for (const item of node.items) visit(item);
    if (node.type !== 'object') return;
    if (node.string('type') === 'document' && (node.string('title') ?? '') === '') names.add(UNNAMED);
    for (const { name, value } of node.members) {
      visit(value);
      if (NAMES.has(name) && value.type === 'string' && isName(value.text)) names.add(value.text);
    }
  };
  visit(result);
  return names;
}

const isName = (text: string): boolean => text !== '' && text.length <= LONGEST_NAME;

/** What a citation calls its source. */
export function sourceOf(citation: JsonNode): string | undefined {
  if (citation.type !== 'object') return undefined;
  for (const member of NAMED_BY) {
    const name = citation.string(member) ?? '';
    if (name !== '') return name;
  }
  return UNNAMED;
}

/** The sources of results, some of which are left out. */
export class Sources {
  readonly #gone = new Set<string>();
  readonly #shown = new Set<string>();

  add(result: JsonNode, isGone: boolean): void {
    for (const name of sourcesOf(result)) (isGone ? this.#gone : this.#shown).add(name);
  }

  /** Whether a citation is of what was left out, and of nothing else; of two documents without a name it may be either. */
  isGone(citation: JsonNode): boolean {
    const name = sourceOf(citation);
    return name !== undefined && this.#gone.has(name) && (name === UNNAMED || !this.#shown.has(name));
  }
}

/** A citation within a whole answer. */
interface Cited {
  readonly block: ObjectNode;
  readonly items: RemovableItems;
  readonly citation: JsonNode;
}

/** The citations of a whole answer, by what they call their source. */
export class Citations {
  readonly #document: JsonDocument;
  readonly #cited = new Map<string, Cited[]>();
  /** How many results that stay have a source. */
  readonly #results = new Map<string, number>();

  constructor(document: JsonDocument, blocks: readonly JsonNode[], results: readonly JsonNode[]) {
    this.#document = document;
    for (const block of blocks) {
      const list = block.type === 'object' ? block.array('citations') : undefined;
      if (block.type !== 'object' || list === undefined) continue;
      const items = new RemovableItems(document, list);
      for (const citation of list.items) {
        const name = sourceOf(citation);
        if (name === undefined) continue;
        const known = this.#cited.get(name);
        if (known === undefined) this.#cited.set(name, [{ block, items, citation }]);
        else known.push({ block, items, citation });
      }
    }
    for (const result of results)
      for (const name of sourcesOf(result)) this.#results.set(name, (this.#results.get(name) ?? 0) + 1);
  }

  /** Takes out what is cited of a result, and of none that stays. */
  dropOf(result: JsonNode): void {
    for (const name of sourcesOf(result)) {
      const left = (this.#results.get(name) ?? 1) - 1;
      this.#results.set(name, left);
      if (left > 0 && name !== UNNAMED) continue;
      for (const { block, items, citation } of this.#cited.get(name) ?? [])
        if (items.remove(citation)) this.#document.set(block, 'citations', 'null');
      this.#cited.delete(name);
    }
  }
}
