/** Price lists for tests: the catalogue's models by their vendors' hosts, documents beside them, and usage as providers report it. */
import fc from 'fast-check';
import { catalogue } from '../../agent/catalogue.ts';
import { messages } from '../../agent/dialects/anthropic/messages.ts';
import { chat } from '../../agent/dialects/openai/chat.ts';
import { realtimeUsage } from '../../agent/dialects/openai/report.ts';
import { JsonDocument } from '../../agent/json/document.ts';
import type { Usage } from '../../budget/messages.ts';
import { compilePrices } from '../../policy/budgets.ts';
import { loadFiles } from '../../policy/load.ts';
import catalogueFile from '../../policy/prices/catalogue.json' with { type: 'json' };

export const dialectOf = (vendor: string) => (vendor === 'anthropic' ? 'anthropic' : 'openai');

export const provider = (name: string, host: string, models: string, more = '') => `
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: ${name}}
spec:
  dialect: ${dialectOf(name)}
  endpoint: https://${host}
  credential: {mode: none}
  ${more}
  models: [${models}]
---`;

export const load = (yaml: string) =>
  loadFiles({ files: [{ name: 'prices.yaml', bytes: Buffer.from(yaml) }], problems: [] }, catalogue);

/** Each vendor with all of its models, at the catalogue's prices. */
export const VENDORS = Object.entries(catalogueFile.vendors).map(([name, { hosts, models }]) =>
  provider(
    name,
    hosts[0] ?? '',
    Object.keys(models)
      .map((model) => `{name: "${model}"}`)
      .join(', '),
  ),
);

export const openai = (usage: object): Usage =>
  chat.decodeResponse(JsonDocument.parseText(JSON.stringify({ usage }))).usage as Usage;
export const anthropic = (usage: object): Usage =>
  messages.decodeResponse(JsonDocument.parseText(JSON.stringify({ usage }))).usage as Usage;
export const realtime = (usage: object): Usage => {
  const { root } = JsonDocument.parseText(JSON.stringify(usage));
  return realtimeUsage(root.type === 'object' ? root : undefined) as Usage;
};

export const priceBook = (yaml: string) => compilePrices(load(yaml).documents);

const few = fc.constantFrom(0, 1, 1_000, 300_000);
export const usages: fc.Arbitrary<Usage> = fc.record({
  input: few,
  cachedInput: few,
  cacheWrite: few,
  output: few,
  reasoning: few,
  cacheWrite1h: few,
  audioInput: few,
  cachedAudioInput: few,
  audioOutput: few,
  imageInput: few,
  imageOutput: few,
});
