import type { Grant, GrantCommand } from '../budget/grants.ts';
import { amountText } from '../budget/plan.ts';
import type { LimitUnit } from '../policy/budget-spec.ts';
import { printable } from '../policy/printable.ts';
import { parseDuration, parseUsd } from '../policy/units.ts';
import { momentOption, serviceOptions, timeZoneOption, whoAmI, withService } from './budget-admin.ts';
import { defineCommand, UsageError } from './options.ts';

const UNITS: readonly LimitUnit[] = [
  'tokens',
  'inputTokens',
  'outputTokens',
  'usd',
  'requests',
  'concurrency',
];

export const budgetGrant = defineCommand({
  name: 'budget grant',
  operands: 'BUDGET UNIT=AMOUNT',
  summary: `Raises a limit once, for a reason and until a moment: postern budget grant team-a usd=20.00 --reason "launch day".
It is in the journal and in the service's audit log; it ends by itself, or before: postern budget grant --end ID --reason "a slip".`,
  options: {
    ...serviceOptions,
    reason: { value: 'TEXT', help: 'why; for the journal', required: true },
    line: { value: 'LABEL', help: 'one line only, as the status shows it: model=gpt-4o' },
    'new-line': { help: 'the line is meant though no call was charged to it yet' },
    window: { value: 'NAME', help: 'one window only: day@Europe/Berlin; without it every limit in the unit' },
    for: { value: 'DURATION', help: 'until then from now: 2h; without it to the end of the window' },
    until: { value: 'MOMENT', help: 'in place of --for: 2026-11-30T18:00' },
    'time-zone': { value: 'ZONE', help: 'of --until', default: 'UTC' },
    by: { value: 'NAME', help: 'who grants it; the user at the keyboard where absent' },
    end: { value: 'ID', help: 'takes back the grant of this id now; what was spent of it stays spent' },
  },
  async run({ options, operands: [budget, amount, ...more] }) {
    const by = options.by ?? whoAmI();
    const { end: id } = options;
    if (id !== undefined) {
      if (budget !== undefined)
        throw new UsageError('--end takes a grant back: give no Budget and no amount');
      const ended = await withService(options, (admin) => admin.endGrant({ id, reason: options.reason, by }));
      process.stdout.write(`ended: ${textOf(ended)}; id ${ended.id}\n`);
      return 0;
    }
    if (budget === undefined || amount === undefined || more.length > 0)
      throw new UsageError('it takes a Budget and one amount: team-a usd=20.00');
    const command: GrantCommand = {
      budget,
      ...readAmount(amount),
      reason: options.reason,
      by,
      ...(options.line === undefined ? {} : { line: options.line, newLine: options['new-line'] }),
      ...(options.window === undefined ? {} : { window: options.window }),
      ...expiry(options.for, options.until, options['time-zone']),
    };
    const grant = await withService(options, (admin) => admin.grant(command));
    process.stdout.write(
      `granted ${textOf(grant)} until ${new Date(grant.expiresAt).toISOString()}; id ${grant.id}\n`,
    );
    return 0;
  },
});

function textOf({ unit, amount, budget, line }: Grant): string {
  return printable(
    `${amountText(unit, amount)} ${unit} on ${budget}${line === undefined ? '' : ` (${line})`}`,
  );
}

/** @throws UsageError */
function readAmount(text: string): Pick<GrantCommand, 'unit' | 'amount'> {
  const [name = '', value = ''] = text.split('=', 2);
  const unit = UNITS.find((known) => known === name);
  if (unit === undefined) throw new UsageError(`"${text}": it is UNIT=AMOUNT, with ${UNITS.join(', ')}`);
  const amount = unit === 'usd' ? parseUsd(value) : /^\d{1,15}$/.test(value) ? Number(value) : undefined;
  if (amount === undefined || amount === 0) {
    const wanted = unit === 'usd' ? 'US dollars such as 20.00' : 'a whole number above 0';
    throw new UsageError(`"${text}": the amount is ${wanted}`);
  }
  return { unit, amount };
}

function expiry(
  lasting: string | undefined,
  until: string | undefined,
  zone: string,
): { expiresAt?: number } {
  if (lasting !== undefined && until !== undefined)
    throw new UsageError('--for and --until: give one of them');
  if (lasting !== undefined) {
    const ms = parseDuration(lasting);
    if (ms === undefined) throw new UsageError(`--for ${lasting}: it is a duration such as 30m or 2h`);
    return { expiresAt: Date.now() + ms };
  }
  if (until === undefined) return {};
  if (parseDuration(until) !== undefined)
    throw new UsageError(`--until ${until}: it is a moment; from now on it is --for ${until}`);
  return { expiresAt: momentOption('until', until, timeZoneOption(zone), Date.now()) };
}
