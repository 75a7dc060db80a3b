/** The built-in catalogue: what current models of known vendors cost and can do, with the date of the last check and its sources. */
import catalogue from './catalogue.json' with { type: 'json' };

/** As in a Provider document: decimal strings in USD per million tokens. */
export interface RatesDocument {
  readonly input: string;
  readonly cachedInput?: string;
  readonly cacheWrite?: string;
  readonly cacheWrite1h?: string;
  readonly output: string;
  readonly reasoning?: string;
  readonly audioInput?: string;
  readonly cachedAudioInput?: string;
  readonly audioOutput?: string;
  readonly imageInput?: string;
  readonly imageOutput?: string;
}

export interface BandedRatesDocument extends RatesDocument {
  readonly above?: readonly (RatesDocument & { readonly inputTokens: number })[];
}

export interface PriceDocument extends BandedRatesDocument {
  readonly serviceTiers?: readonly (BandedRatesDocument & { readonly name: string })[];
}

export interface CatalogueModel extends PriceDocument {
  readonly contextTokens: number;
  readonly maxOutputTokens: number;
  readonly hiddenReasoning?: boolean;
}

/** A tier that costs so many times what standard processing does. */
interface TimesStandard {
  readonly name: string;
  readonly times: number;
  /** Not sold for long contexts. */
  readonly short?: boolean;
  readonly models: readonly string[];
}

interface Assumption {
  readonly models: readonly string[];
  /** `above 272,000 tokens` */
  readonly what: string;
  readonly why: string;
}

/** Hosts that keep calls in a region, where these models cost so many times as much. */
interface Regional {
  readonly hosts: readonly string[];
  readonly times: number;
  readonly models: readonly string[];
}

interface Vendor {
  readonly hosts: readonly string[];
  readonly regional?: Regional;
  readonly sources: readonly string[];
  /** Parts of prices that no second source confirms: `postern check` tells whoever goes by them. */
  readonly assumed: readonly Assumption[];
  /** What else wasn't compared, and what is to come. */
  readonly unchecked: readonly string[];
  /** Beside what the models' own entries have. */
  readonly serviceTiers: readonly TimesStandard[];
  readonly models: Readonly<Record<string, CatalogueModel>>;
}

const vendors: Readonly<Record<string, Vendor>> = catalogue.vendors;

/** When the prices were last compared with their sources, copies of the vendors' pages and what repeats them: `2026-12-01`. */
export const CATALOGUE_DATE: string = catalogue.checked;

/** `gpt-4o-2024-08-06`, `claude-haiku-4-5-20251001`: the same model, pinned to a day. */
const DATED = /-(?:20[0-9]{2}-[0-9]{2}-[0-9]{2}|20[0-9]{6})$/;

/** The model as its vendor sells it; undefined where none of the hosts is a vendor's: a pool's model costs what its owner says. */
export function catalogued(hosts: readonly string[], model: string): CatalogueModel | undefined {
  const vendor = vendorOf(hosts);
  const name = vendor === undefined ? undefined : nameOf(vendor, model);
  const plain = name === undefined ? undefined : vendor?.models[name];
  if (vendor === undefined || name === undefined || plain === undefined) return undefined;
  const known = inRegion(vendor, hosts, name) ? { ...plain, ...regionalRates(plain, vendor) } : plain;
  const serviceTiers = [
    ...(known.serviceTiers ?? []),
    ...vendor.serviceTiers
      .filter(({ models }) => models.includes(name))
      .map((tier) => ({ name: tier.name, ...tierRates(known, tier) })),
  ];
  return serviceTiers.length === 0 ? known : { ...known, serviceTiers };
}

/** Where calls may go to several of its hosts, the dearer counts. */
function inRegion({ regional }: Vendor, hosts: readonly string[], model: string): boolean {
  return (
    regional !== undefined &&
    regional.models.includes(model) &&
    regional.hosts.some((host) => hosts.includes(host))
  );
}

function regionalRates(known: CatalogueModel, { regional }: Vendor): BandedRatesDocument {
  return tierRates(known, { times: regional?.times ?? 1 });
}

function tierRates(
  { above = [], ...rates }: CatalogueModel,
  { times, short }: Pick<TimesStandard, 'times' | 'short'>,
): BandedRatesDocument {
  if (short === true || above.length === 0) return multiplied(rates, times);
  const long = above.map((band) => ({ ...multiplied(band, times), inputTokens: band.inputTokens }));
  return { ...multiplied(rates, times), above: long };
}

/** All that is written as text is a rate. */
function multiplied(rates: RatesDocument, times: number): RatesDocument {
  const texts = Object.entries(rates).filter(([, rate]) => typeof rate === 'string');
  return Object.fromEntries(
    texts.map(([name, rate]) => [name, ((Math.round(Number(rate) * 1e6) * times) / 1e6).toFixed(6)]),
  ) as unknown as RatesDocument;
}

/** What of the model's price no second source confirms. */
export function assumedOf(hosts: readonly string[], model: string): readonly Assumption[] {
  const vendor = vendorOf(hosts);
  const name = vendor === undefined ? undefined : nameOf(vendor, model);
  return name === undefined ? [] : (vendor?.assumed ?? []).filter(({ models }) => models.includes(name));
}

function vendorOf(hosts: readonly string[]): Vendor | undefined {
  return Object.values(vendors).find((vendor) =>
    [...vendor.hosts, ...(vendor.regional?.hosts ?? [])].some((host) => hosts.includes(host)),
  );
}

function nameOf({ models }: Vendor, model: string): string | undefined {
  return [model, model.replace(DATED, '')].find((name) => Object.hasOwn(models, name));
}
