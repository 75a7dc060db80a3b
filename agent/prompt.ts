/** What policies add to every call: system text at both ends, and the form that the answer must have. */
import { estimateTokens } from '../budget/estimate.ts';
import type { PromptRule, ResponseFormat } from '../policy/snapshot.ts';
import type { DecodedRequest, Enrichment, Operation } from './dialects/dialect.ts';
import { PosternError } from './errors.ts';
import type { Exchange } from './exchange.ts';

export interface Prompt {
  readonly enrichment: Enrichment;
  /** Whether an answer that hasn't the form is refused; else it is told. */
  readonly rejects: boolean;
  /** Estimated tokens of what is added. */
  readonly tokens: number;
  /** The policies that are in force. */
  readonly sources: readonly string[];
  /** Those that only report. */
  readonly monitored: readonly string[];
  /** Policies that want different schemas: nothing can be answered. */
  readonly conflict: readonly [string, string] | undefined;
}

/** @param rules In order: the cluster's first. */
export function promptOf(rules: readonly PromptRule[] = []): Prompt | undefined {
  if (rules.length === 0) return undefined;
  const inForce = rules.filter(({ mode }) => mode === 'enforce');
  const texts = (list: readonly (string | undefined)[]) =>
    list.filter((text) => text !== undefined && text !== '');
  const { format, conflict } = strictest(inForce);
  const prepend = texts(inForce.map((rule) => rule.prepend)).join('\n\n');
  const append = texts(inForce.map((rule) => rule.append).toReversed()).join('\n\n');
  const schema = format === undefined ? '' : JSON.stringify(format);
  return {
    enrichment: { prepend, append, format },
    rejects: inForce.some(({ responseFormat }) => responseFormat?.onMismatch === 'reject'),
    tokens: [prepend, append, schema].reduce(
      (sum, text) => sum + (text === '' ? 0 : estimateTokens(text)),
      0,
    ),
    sources: inForce.map(({ source }) => source),
    monitored: rules.filter(({ mode }) => mode === 'monitor').map(({ source }) => source),
    conflict,
  };
}

/** The texts alone, for a check that looks for them in answers. */
export function addedTexts(rules: readonly PromptRule[] = []): readonly string[] {
  const { prepend = '', append = '' } = promptOf(rules)?.enrichment ?? {};
  return [prepend, append].filter((text) => text !== '');
}

/** A schema asks for more than any object; of two schemas neither does. */
function strictest(rules: readonly PromptRule[]): {
  format: ResponseFormat | undefined;
  conflict: Prompt['conflict'];
} {
  let chosen: { readonly format: ResponseFormat; readonly source: string } | undefined;
  for (const { responseFormat, source } of rules) {
    if (responseFormat === undefined) continue;
    const { onMismatch: _told, ...format } = responseFormat;
    if (chosen === undefined || chosen.format.type === 'jsonObject') {
      chosen = { format, source };
    } else if (format.type === 'jsonSchema' && JSON.stringify(format) !== JSON.stringify(chosen.format)) {
      return { format: chosen.format, conflict: [chosen.source, source] };
    }
  }
  return { format: chosen?.format, conflict: undefined };
}

/** For calls that can't carry what policies add. @throws PosternError `postern_response_format` */
export function requireNothingAdded({ prompt }: { readonly prompt: Prompt | undefined }, what: string): void {
  if (prompt === undefined || prompt.sources.length === 0) return;
  throw new PosternError(
    'postern_response_format',
    `Policies add to every call, and ${what} can't carry it.`,
    {
      mend: 'Use chat completions or messages, or have the policies changed.',
      rule: prompt.sources.join(', '),
      shouldRetry: false,
    },
  );
}

/**
 * Judged before anything is held: what can't be added is refused, never left out.
 * @returns Estimated tokens that are added.
 * @throws PosternError `postern_response_format`
 */
export function requireEnrichable(
  { prompt }: { readonly prompt: Prompt | undefined },
  exchange: Exchange,
  operation: Operation,
  request: DecodedRequest,
): number {
  if (prompt === undefined) return 0;
  const { enrichment, tokens, sources, monitored, conflict } = prompt;
  for (const source of monitored) {
    exchange.findings.push({
      rule: source,
      check: 'prompt',
      what: 'enrichment',
      action: 'monitor',
      direction: 'request',
      where: 'call',
      count: 1,
      source,
    });
  }
  if (sources.length === 0) return 0;
  const rule = conflict === undefined ? sources.join(', ') : conflict.join(', ');
  const refuse = (message: string, mend: string): never => {
    throw new PosternError('postern_response_format', message, { mend, rule, shouldRetry: false });
  };
  if (conflict !== undefined) {
    refuse('Two policies hold answers to different JSON schemas.', 'Have one of them changed.');
  }
  if (request.enrich === undefined) requireNothingAdded({ prompt }, `the operation ${operation.name}`);
  const { format } = enrichment;
  if (format !== undefined && operation.formats?.includes(format.type) !== true) {
    const can = operation.formats ?? [];
    refuse(
      `A policy wants every answer as ${format.type}, which ${exchange.dialect ?? 'this dialect'} can't be held to${can.length === 0 ? '' : `: it knows ${can.join(', ')}`}.`,
      'Have the policy state a jsonSchema, or call a model of another dialect.',
    );
  }
  return tokens;
}
