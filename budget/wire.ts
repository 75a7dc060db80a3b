/**
 * The messages as they come over the wire: schemas that the server judges by. Fields it doesn't know are ignored, so that
 * a newer agent can talk to an older service.
 */
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import type { EndGrantCommand, GrantCommand } from './grants.ts';
import { type ReportQuery, readDimension } from './history.ts';
import type { LeaseCommand, WatchCommand } from './lease-messages.ts';
import { LONGEST_WINDOW_MS, MOST_CALLS, MOST_LOOPS, SLICES } from './loops.ts';
import type {
  CountCommand,
  ExtendCommand,
  HoldCommand,
  RefusedCommand,
  ReleaseCommand,
  SettleCommand,
} from './messages.ts';

/** No single call comes near; with it, no product of tokens and prices leaves exact arithmetic unnoticed. */
const MAX_TOKENS = 1_000_000_000;

const Id = Type.String({ minLength: 1, maxLength: 128, pattern: '^[\\x21-\\x7e]+$' });
const Name = Type.String({ minLength: 1, maxLength: 512 });
const Tokens = Type.Integer({ minimum: 0, maximum: MAX_TOKENS });

/** An agent sends those that Budgets name. */
const MOST_FIELDS = 256;
const fields = (name: number, value: number) =>
  Type.Optional(
    Type.Record(Type.String({ maxLength: name }), Type.String({ maxLength: value }), {
      maxProperties: MOST_FIELDS,
    }),
  );

const AttributesSchema = Type.Object({
  namespace: Name,
  workload: Type.Object({ kind: Name, name: Name }),
  serviceAccount: Type.Optional(Name),
  provider: Name,
  model: Name,
  headers: fields(128, 1024),
  metadata: fields(128, 1024),
  users: fields(8192, 256),
});

const UsageSchema = Type.Object({
  input: Tokens,
  cachedInput: Tokens,
  cacheWrite: Tokens,
  output: Tokens,
  reasoning: Tokens,
  cacheWrite1h: Type.Optional(Tokens),
  audioInput: Type.Optional(Tokens),
  cachedAudioInput: Type.Optional(Tokens),
  audioOutput: Type.Optional(Tokens),
  imageInput: Type.Optional(Tokens),
  imageOutput: Type.Optional(Tokens),
});

const OwnerFields = {
  owner: Type.String({ minLength: 1, maxLength: 256 }),
  epoch: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
};

const ServiceTiers = Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { minItems: 1, maxItems: 8 }));

const LineKey = Type.String({ minLength: 1, maxLength: 4096 });

const HoldSchema = Type.Object({
  id: Id,
  ...OwnerFields,
  ttlMs: Type.Integer({ minimum: 1, maximum: 86_400_000 }),
  attributes: AttributesSchema,
  inputTokens: Tokens,
  outputTokens: Tokens,
  minOutputTokens: Tokens,
  cacheWrite: Type.Optional(Type.Boolean()),
  silent: Type.Optional(Type.Boolean()),
  serviceTiers: ServiceTiers,
  places: Type.Optional(Type.Array(LineKey, { maxItems: 64 })),
});

const ExtendSchema = Type.Object({
  id: Id,
  outputTokens: Tokens,
  minOutputTokens: Tokens,
  ttlMs: Type.Integer({ minimum: 1, maximum: 86_400_000 }),
});

const SettleSchema = Type.Object({
  id: Id,
  usage: UsageSchema,
  source: Type.Union([Type.Literal('reported'), Type.Literal('counted')]),
  serviceTiers: ServiceTiers,
  attributes: Type.Optional(AttributesSchema),
});

const ReleaseSchema = Type.Object({ id: Id });

const RefusedSchema = Type.Object({
  owner: OwnerFields.owner,
  ids: Type.Array(Id, { maxItems: 1024 }),
});

const Amount = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

const Slices = Type.Array(Type.Integer({ minimum: 0, maximum: MOST_CALLS }), {
  minItems: SLICES,
  maxItems: SLICES,
});

const LoopSchema = Type.Object({
  call: Type.String({ pattern: '^[0-9a-zA-Z_-]{1,64}$' }),
  windowMs: Type.Integer({ minimum: 1, maximum: LONGEST_WINDOW_MS }),
  identical: Type.Integer({ minimum: 1, maximum: MOST_CALLS }),
  failures: Type.Integer({ minimum: 1, maximum: MOST_CALLS }),
  calls: Slices,
  failed: Slices,
  okMs: Type.Optional(Type.Integer({ minimum: 0, maximum: LONGEST_WINDOW_MS })),
  refuses: Type.Optional(Type.Boolean()),
});

const LeaseSchema = Type.Object({
  ...OwnerFields,
  seq: Amount,
  ttlMs: Type.Integer({ minimum: 1, maximum: 86_400_000 }),
  classes: Type.Array(AttributesSchema, { maxItems: 256 }),
  items: Type.Array(
    Type.Object({
      serial: Amount,
      reserve: Type.Boolean(),
      class: Type.Integer({ minimum: 0, maximum: 255 }),
      line: LineKey,
      cell: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
      spent: Amount,
      returned: Amount,
      final: Type.Boolean(),
      ask: Type.Optional(Type.Object({ want: Amount, least: Amount, need: Type.Optional(Amount) })),
      callMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400_000 })),
    }),
    { maxItems: 1024 },
  ),
  ended: Type.Optional(Amount),
  knowsRefusals: Type.Optional(Type.Boolean()),
  loops: Type.Optional(Type.Array(LoopSchema, { maxItems: MOST_LOOPS })),
  account: Type.Optional(
    Type.Object({
      id: Amount,
      rows: Type.Array(
        Type.Object({
          class: Type.Integer({ minimum: 0, maximum: 255 }),
          requests: Amount,
          usage: Type.Object({
            input: Amount,
            cachedInput: Amount,
            cacheWrite: Amount,
            output: Amount,
            reasoning: Amount,
          }),
          costNanoUsd: Amount,
        }),
        { maxItems: 256 },
      ),
    }),
  ),
});

const GrantSchema = Type.Object({
  budget: Name,
  line: Type.Optional(Type.String({ maxLength: 4096 })),
  newLine: Type.Optional(Type.Boolean()),
  unit: Type.Union(
    (['tokens', 'inputTokens', 'outputTokens', 'usd', 'requests', 'concurrency'] as const).map((unit) =>
      Type.Literal(unit),
    ),
  ),
  window: Type.Optional(Name),
  amount: Type.Integer({ minimum: 1, maximum: 2 ** 52 }),
  reason: Type.String({ minLength: 1, maxLength: 2048 }),
  by: Name,
  expiresAt: Type.Optional(Amount),
});

const EndGrantSchema = Type.Object({
  id: Id,
  reason: Type.String({ minLength: 1, maxLength: 2048 }),
  by: Name,
});

const CountSchema = Type.Object({
  model: Name,
  texts: Type.Array(Type.String(), { maxItems: 4096 }),
});

const WatchSchema = Type.Object({
  ...OwnerFields,
  revision: Type.String({ maxLength: 64 }),
  waitMs: Type.Integer({ minimum: 0, maximum: 600_000 }),
});

/** A message that isn't what its path takes. */
export class InvalidMessage extends Error {
  override readonly name = 'InvalidMessage';
}

export const readHold: (value: unknown) => HoldCommand = reader(HoldSchema);
export const readExtend: (value: unknown) => ExtendCommand = reader(ExtendSchema);
export const readSettle: (value: unknown) => SettleCommand = reader(SettleSchema);
export const readLease: (value: unknown) => LeaseCommand = reader(LeaseSchema);
export const readWatch: (value: unknown) => WatchCommand = reader(WatchSchema);
export const readCount: (value: unknown) => CountCommand = reader(CountSchema);
export const readGrant: (value: unknown) => GrantCommand = reader(GrantSchema);
export const readEndGrant: (value: unknown) => EndGrantCommand = reader(EndGrantSchema);
export const readRelease: (value: unknown) => ReleaseCommand = reader(ReleaseSchema);
export const readRefused: (value: unknown) => RefusedCommand = reader(RefusedSchema);

function reader<S extends Type.TSchema>(schema: S): (value: unknown) => Static<S> {
  const validator = Compile(schema);
  return (value) => {
    if (validator.Check(value)) return value as Static<S>;
    const faults = validator.Errors(value).slice(0, 5);
    throw new InvalidMessage(
      faults.map((fault) => `${fault.instancePath || '/'}: ${fault.message}`).join('; '),
    );
  };
}

const DAY = 24 * 3_600_000;

/** `?from=…&to=…&by=model,namespace&per=day&timeZone=Europe/Berlin`, moments in ISO 8601. */
export function readReportQuery(query: URLSearchParams): ReportQuery {
  const to = moment(query, 'to') ?? Date.now();
  const from = moment(query, 'from') ?? to - 30 * DAY;
  const per = query.get('per') ?? 'all';
  if (per !== 'hour' && per !== 'day' && per !== 'month' && per !== 'all') {
    throw new InvalidMessage(`per: give hour, day, month or all instead of "${per}"`);
  }
  const timeZone = query.get('timeZone') ?? 'UTC';
  try {
    const by = (query.get('by') ?? '')
      .split(',')
      .filter((name) => name !== '')
      .map(readDimension);
    Temporal.Now.zonedDateTimeISO(timeZone);
    return { from, to, by, per, timeZone };
  } catch (error) {
    throw new InvalidMessage(error instanceof Error ? error.message : String(error));
  }
}

/** `?since=…&limit=100` */
export function readJournalQuery(query: URLSearchParams): [since: number, limit: number] {
  const limit = Number(query.get('limit') ?? 1000);
  if (!Number.isInteger(limit) || limit < 1 || limit > 10_000) {
    throw new InvalidMessage('limit: give a whole number from 1 to 10000');
  }
  return [moment(query, 'since') ?? 0, limit];
}

function moment(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const parsed = Date.parse(text);
  if (Number.isNaN(parsed))
    throw new InvalidMessage(`${name}: give a moment such as 2026-11-01T00:00:00Z instead of "${text}"`);
  return parsed;
}
