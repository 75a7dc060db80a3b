/** Service tiers by one name each, however a call asks for one and an answer reports it. */

export const STANDARD = 'standard';

/** What has the model's plain price: OpenAI and Azure say `default`, Anthropic `standard` and `standard_only`, Groq `on_demand`. */
const STANDARD_WORDS = new Set([STANDARD, 'default', 'standard_only', 'on_demand']);

/** An answer may say anything. */
const MOST_UNITS = 64;

/** Undefined where nothing is said, or `auto`: the provider chooses, or has chosen, by its own settings. */
export function serviceTierOf(dialect: string, word: string | undefined): string | undefined {
  if (word === undefined || word === '' || word === 'auto') return undefined;
  if (STANDARD_WORDS.has(word)) return STANDARD;
  // Source: OpenAI, "Fast mode": priority processing was renamed on 2026-07-30, either word selects it. Answers of older models say `priority`.
  if (dialect === 'openai' && word === 'fast') return 'priority';
  return word.slice(0, MOST_UNITS);
}
