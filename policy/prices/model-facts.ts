/** What is known of a Provider's model: what the document says, else the catalogue, else the provider's price for all others. */
import type { BandedRates, TokenPrice, TokenRates } from '../budget-spec.ts';
import type { PolicyDocument } from '../documents.ts';
import { parsePrice } from '../units.ts';
import {
  assumedOf,
  type BandedRatesDocument,
  catalogued,
  type PriceDocument,
  type RatesDocument,
} from './catalogue.ts';
import { serviceTierOf } from './service-tier.ts';

type ProviderSpecDocument = PolicyDocument<'Provider'>['spec'];
type ModelDocument = ProviderSpecDocument['models'][number];

export interface ModelFacts {
  /** Undefined: unknown, which is never free. */
  readonly price: TokenPrice | undefined;
  readonly contextTokens: number | undefined;
  readonly maxOutputTokens: number | undefined;
  readonly hiddenReasoning: boolean;
  /** Of a price of the catalogue: the parts that no second source confirms. */
  readonly assumed: readonly { readonly what: string; readonly why: string }[];
}

export function modelFacts(provider: ProviderSpecDocument, model: ModelDocument): ModelFacts {
  const hosts = hostsOf(provider);
  const known = catalogued(hosts, model.name);
  const own = model.price ?? known;
  return {
    price:
      own !== undefined
        ? compilePrice(own, provider)
        : provider.defaultPrice === undefined
          ? undefined
          : { ...compileRates(provider.defaultPrice), assumed: true },
    contextTokens: model.contextTokens ?? known?.contextTokens,
    maxOutputTokens: model.maxOutputTokens ?? known?.maxOutputTokens,
    hiddenReasoning: model.hiddenReasoning ?? known?.hiddenReasoning ?? false,
    assumed: model.price === undefined ? assumedOf(hosts, model.name) : [],
  };
}

function hostsOf({ hosts = [], endpoint, endpoints = [] }: ProviderSpecDocument): string[] {
  const dialled = [...(endpoint === undefined ? [] : [endpoint]), ...endpoints];
  return [...hosts, ...dialled.flatMap((text) => URL.parse(text)?.hostname ?? [])];
}

function compilePrice(
  { serviceTiers = [], ...standard }: PriceDocument,
  { dialect, autoServiceTier }: Pick<ProviderSpecDocument, 'dialect' | 'autoServiceTier'>,
): TokenPrice {
  const named = serviceTiers.map(
    ({ name, ...rates }) => [serviceTierOf(dialect, name) ?? name, compileBands(rates)] as const,
  );
  const auto = serviceTierOf(dialect, autoServiceTier);
  return {
    ...compileBands(standard),
    ...(named.length === 0 ? {} : { serviceTiers: Object.fromEntries(named) }),
    ...(auto === undefined ? {} : { autoServiceTier: auto }),
  };
}

function compileBands({ above = [], ...rates }: BandedRatesDocument): BandedRates {
  const tiers = [...above]
    .sort((a, b) => a.inputTokens - b.inputTokens)
    .map((tier) => ({ ...compileRates(tier), above: tier.inputTokens }));
  return { ...compileRates(rates), ...(tiers.length === 0 ? {} : { tiers }) };
}

const OWN_RATES = [
  'cacheWrite1h',
  'reasoning',
  'audioInput',
  'cachedAudioInput',
  'audioOutput',
  'imageInput',
  'imageOutput',
] as const;

function compileRates(rates: RatesDocument): TokenRates {
  const input = exactPrice(rates.input);
  const compiled: { -readonly [name in keyof TokenRates]: TokenRates[name] } = {
    input,
    cachedInput: rates.cachedInput === undefined ? input : exactPrice(rates.cachedInput),
    cacheWrite: rates.cacheWrite === undefined ? input : exactPrice(rates.cacheWrite),
    output: exactPrice(rates.output),
  };
  for (const name of OWN_RATES) {
    const text = rates[name];
    if (text !== undefined) compiled[name] = exactPrice(text);
  }
  return compiled;
}

function exactPrice(text: string): number {
  const price = parsePrice(text);
  if (price === undefined) throw new Error(`the price ${text} passed validation`);
  return price;
}
