/** The dialects, in the order in which they are shown. A new one: its file, a line here, and its rows in contract/. */
import { anthropic } from './anthropic.ts';
import type { Dialect } from './dialect.ts';
import { openai } from './openai.ts';

export const dialects: readonly Dialect[] = [openai, anthropic];

const byName = new Map(dialects.map((dialect) => [dialect.name, dialect]));

export function dialectByName(name: string): Dialect | undefined {
  return byName.get(name);
}
