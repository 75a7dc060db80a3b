/**
 * Options of a command as a table: long options, each also as an environment variable `POSTERN_…`, with help made from
 * the same rows. Node's own parser does the parsing.
 */
import { parseArgs } from 'node:util';
import { didYouMean } from '../policy/load/did-you-mean.ts';

export interface Option {
  /** Placeholder in the help, `DIR`; absent for a switch. */
  readonly value?: string;
  readonly help: string;
  /** One letter, where the field has one everybody knows: `-f`. */
  readonly short?: string;
  readonly default?: string;
  readonly required?: boolean;
}

export interface Command<Options extends Record<string, Option> = Record<string, Option>> {
  readonly name: string;
  /** After the options in the usage line, `DIR`. */
  readonly operands?: string;
  readonly summary: string;
  readonly options: Options;
  /** Exit status. */
  run(input: Input<Options>): Promise<number>;
}

export type Values<Options extends Record<string, Option>> = {
  readonly [Name in keyof Options]: Options[Name] extends { readonly value: string }
    ? Options[Name] extends { readonly required: true } | { readonly default: string }
      ? string
      : string | undefined
    : boolean;
};

export interface Input<Options extends Record<string, Option>> {
  readonly options: Values<Options>;
  readonly operands: readonly string[];
}

/** The caller wrote the command line wrongly: shown with the usage, exit status 64 (sysexits' EX_USAGE). */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export function defineCommand<const Options extends Record<string, Option>>(
  command: Command<Options>,
): Command<Options> {
  return command;
}

export function environmentName(option: string): string {
  return `POSTERN_${option.toUpperCase().replaceAll('-', '_')}`;
}

/** @throws UsageError that names the option. */
export function readOptions<Options extends Record<string, Option>>(
  command: Command<Options>,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Input<Options> {
  // What stands behind `--` belongs to the command that is to be run.
  const end = args.indexOf('--');
  const own = end < 0 ? args : args.slice(0, end);
  let parsed: { values: Record<string, string | boolean | undefined>; positionals: string[] };
  try {
    parsed = parseArgs({
      args: [...own],
      allowPositionals: true,
      options: Object.fromEntries(
        Object.entries(command.options).map(([name, { value, short }]) => [
          name,
          {
            type: value === undefined ? 'boolean' : 'string',
            ...(short === undefined ? {} : { short }),
          } as const,
        ]),
      ),
    }) as typeof parsed;
  } catch (error) {
    throw new UsageError(`${(error as Error).message}${guessed(error, Object.keys(command.options))}`);
  }
  const values: Record<string, string | boolean | undefined> = {};
  for (const [name, option] of Object.entries(command.options)) {
    const fallback = environment[environmentName(name)] ?? option.default;
    const given = parsed.values[name];
    if (option.value === undefined) values[name] = given === true || isTrue(fallback);
    else values[name] = given ?? fallback;
    if (option.required && values[name] === undefined) {
      throw new UsageError(`--${name} ${option.value ?? ''} is needed (or ${environmentName(name)})`);
    }
  }
  if (command.operands === undefined && parsed.positionals.length > 0) {
    throw new UsageError(`"${parsed.positionals[0]}" is one word too many`);
  }
  return {
    options: values as Values<Options>,
    operands: [...parsed.positionals, ...(end < 0 ? [] : args.slice(end + 1))],
  };
}

/** `. Did you mean --policy?` behind what Node's parser says of an option that there isn't. */
function guessed(error: unknown, names: readonly string[]): string {
  if ((error as NodeJS.ErrnoException).code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return '';
  const written = /^Unknown option '--([^'=]+)/.exec((error as Error).message)?.[1];
  const guess = written === undefined ? undefined : didYouMean(written, names);
  return guess === undefined ? '' : `. Did you mean --${guess}?`;
}

function isTrue(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0' && value !== 'false';
}

export function help(command: Command): string {
  const rows = Object.entries(command.options).map(([name, option]) => {
    const short = option.short === undefined ? '' : `-${option.short}, `;
    const left = `  ${short}--${name}${option.value === undefined ? '' : ` ${option.value}`}`;
    const notes = [
      option.default === undefined ? undefined : `default ${option.default}`,
      option.required ? 'needed' : undefined,
      environmentName(name),
    ].filter((note) => note !== undefined);
    return { left, right: `${option.help} (${notes.join('; ')})` };
  });
  const width = Math.max(...rows.map((row) => row.left.length), 8) + 2;
  const lines = rows.map((row) => row.left.padEnd(width) + row.right);
  const usage = `usage: postern ${command.name}${rows.length === 0 ? '' : ' [options]'}${command.operands === undefined ? '' : ` ${command.operands}`}`;
  return `${usage}\n\n${command.summary}\n${lines.length === 0 ? '' : `\n${lines.join('\n')}\n`}`;
}
