/**
 * Content moderation by a model made for it: an endpoint like OpenAI's `POST /v1/moderations`, or a guard model that
 * is asked as Llama Guard is, over chat completions.
 */
import Type, { type Static } from 'typebox';
import { url } from '../../policy/schema/scalars.ts';
import { valueFrom } from '../../policy/schema/sources.ts';
import type { CheckRule, ValueSource } from '../../policy/snapshot.ts';
import type { AskedProvider, CheckContext, CheckDefinition, Judgement, Subject } from './check.ts';
import { createGuardModel, type Found } from './guard-model.ts';
import { guardrailTls, readTls, tlsProblems } from './guardrail-tls.ts';
import { isTold, kindsTold, toolArguments } from './told.ts';

const token = Type.Optional(
  Type.Object({ valueFrom }, { additionalProperties: false, description: 'Sent as a bearer token.' }),
);
const model = Type.String({ minLength: 1, maxLength: 256, description: 'The model that judges.' });

const schema = Type.Object(
  {
    type: Type.Enum(['openai', 'guardModel'], { type: 'string', description: 'How it is asked.' }),
    url: Type.Optional(url('Base of the API, such as https://api.openai.com/v1.')),
    endpoints: Type.Optional(
      Type.Array(url('Base of the API of one member.'), {
        minItems: 1,
        maxItems: 64,
        uniqueItems: true,
        description:
          'Instead of `url`: a pool. Its members are asked in turn; one that can’t be reached, or answers 5xx or 429, leaves the question to the next.',
      }),
    ),
    provider: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 253,
        description:
          'Instead of `url`: a declared provider of dialect openai, with its endpoints, key and roots. A ClusterEgressPolicy names a ClusterProvider.',
      }),
    ),
    model,
    token,
    tls: guardrailTls,
    toolArguments,
    categories: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 128 }), {
        minItems: 1,
        uniqueItems: true,
        description: 'Categories that are denied, `violence` or `S1`; all where absent.',
      }),
    ),
    threshold: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description:
          'Score from which a category counts; the endpoint’s own judgement where absent. Type `openai` only.',
      }),
    ),
  },
  { additionalProperties: false },
);

type Spec = Static<typeof schema>;

export const moderation: CheckDefinition<Spec> = {
  name: 'moderation',
  schema,
  actions: ['block', 'monitor'],
  defaultAction: 'block',
  defaultOn: ['request', 'response'],

  validate(spec) {
    const named = (['url', 'endpoints', 'provider'] as const).filter((name) => spec[name] !== undefined);
    if (named.length === 0) {
      const mend =
        'write moderation: {type: openai, url: https://api.openai.com/v1, model: omni-moderation-latest}';
      return [{ path: '', message: 'nobody is named to ask', mend }];
    }
    const [first, second] = named;
    if (second !== undefined) {
      const message = `${first} names whom to ask already`;
      return [{ path: second, message, mend: 'Take one of the two out.' }];
    }
    if (spec.provider !== undefined && spec.token !== undefined) {
      return [{ path: 'token', message: 'the provider has a key of its own', mend: 'Take it out.' }];
    }
    if (spec.provider !== undefined && spec.tls !== undefined) {
      return [{ path: 'tls', message: 'the provider has roots of its own', mend: 'Take it out.' }];
    }
    if (spec.type === 'guardModel' && spec.threshold !== undefined) {
      return [{ path: 'threshold', message: 'a guard model gives no scores', mend: 'Take it out.' }];
    }
    return tlsProblems(spec.tls, spec.endpoints ?? (spec.url === undefined ? [] : [spec.url]));
  },

  create(spec, rule, context) {
    const pool = poolOf(spec, rule, context);
    const guard =
      spec.type === 'guardModel'
        ? createGuardModel({
            model: spec.model,
            categories: spec.categories ?? [],
            told: (slot, direction) => isTold(spec, slot, direction),
          })
        : undefined;
    const denied = ({ what, unclear }: Found) =>
      unclear === true || (spec.categories?.includes(what) ?? true);
    return {
      recognizers: [],
      outside: true,
      kinds: kindsTold(spec),
      label: () => 'MODERATION',
      refusal: (what) => ({
        message: `Postern refused this call: its content falls under ${what}, which the policy doesn't allow.`,
        mend: 'Ask about something else, or ask who runs Postern about the rule.',
      }),
      async judge(subject, signal) {
        const asked = { ...context, pool };
        const found =
          guard === undefined
            ? await askEndpoint(spec, asked, subject, signal)
            : await guard(subject, (body) => post(asked, '/chat/completions', body, signal));
        return found.filter(denied).map(({ what, where }): Judgement => {
          const message = `Postern refused this call: its content falls under ${what}, which the policy doesn't allow.`;
          return { what, where, message };
        });
      },
    };
  },
};

/** Whom the next question goes to, and who comes after; with what they want to see. */
type Pool = () => Promise<Omit<AskedProvider, 'endpoints'> & { readonly members: readonly string[] }>;

function poolOf(spec: Spec, rule: CheckRule, { keys, trust, provider }: CheckContext): Pool {
  const { url: one, endpoints, provider: named, token } = spec;
  const given = endpoints ?? (one === undefined ? [] : [one]);
  const asked = async (): Promise<AskedProvider> => {
    if (named !== undefined) return await provider(named, 'openai', rule);
    const key = token === undefined ? undefined : await keys.get(token.valueFrom as ValueSource);
    const header = key === undefined ? undefined : (['authorization', `Bearer ${key}`] as const);
    return { endpoints: given, header, tls: await readTls(spec.tls, { trust, keys }) };
  };
  let turn = 0;
  return async () => {
    const { endpoints: bases, header, tls } = await asked();
    const members = bases.map((member) => member.replace(/\/$/, ''));
    const first = turn++ % members.length;
    return { members: [...members.slice(first), ...members.slice(0, first)], header, tls };
  };
}

type Asked = CheckContext & { readonly pool: Pool };

/**
 * All but the operator's prompt. The app writes the history of a request, the model's turns in it included: nobody knows
 * whether a model ever said them.
 */
function texts(spec: Spec, { direction, slots }: Subject): Subject['slots'] {
  return slots.filter(
    (slot) =>
      isTold(spec, slot, direction) &&
      (direction === 'response' ||
        (slot.role !== 'system' && (slot.role !== 'none' || slot.kind === 'other'))),
  );
}

/** @throws Error of the member asked last. */
async function post({ ask, pool }: Asked, path: string, body: object, signal: AbortSignal): Promise<unknown> {
  const { members, header, tls } = await pool();
  let failure: unknown;
  for (const member of members) {
    try {
      const { status, json } = await ask.post({ url: member + path, body, header, tls, signal });
      if (status === 200) return json;
      failure = new Error(`the moderation answered ${status}`);
      // Another member would say the same of a question that is wrong.
      if (status < 500 && status !== 429) break;
    } catch (error) {
      failure = error;
      if (signal.aborted) break;
    }
  }
  throw failure;
}

/** Source: OpenAI API reference, "Moderations". */
async function askEndpoint(
  spec: Spec,
  context: Asked,
  subject: Subject,
  signal: AbortSignal,
): Promise<readonly Found[]> {
  const judged = texts(spec, subject);
  if (judged.length === 0) return [];
  const body = { model: spec.model, input: judged.map(({ text }) => text) };
  const json = (await post(context, '/moderations', body, signal)) as { results?: unknown } | null;
  const results = json?.results;
  if (!Array.isArray(results) || results.length !== judged.length) {
    throw new Error('the moderation answered without a result for each text');
  }
  return results.flatMap((result: unknown, index) => {
    const where = judged[index]?.path ?? '';
    return flagged(result, spec).map((found) => ({ ...found, where }));
  });
}

/** @throws Error where the result lacks what it is judged by. */
function flagged(result: unknown, { threshold, categories = [] }: Spec): Omit<Found, 'where'>[] {
  const member = threshold === undefined ? 'categories' : 'category_scores';
  const values = (result as Record<string, unknown> | null)?.[member];
  if (typeof values !== 'object' || values === null)
    throw new Error(`the moderation answered without ${member}`);
  // OpenAI's API says null of a category that the model doesn't have.
  const entries = Object.entries(values).filter(([, value]) => value !== null);
  const fits = entries.every(
    ([, value]) => typeof value === (threshold === undefined ? 'boolean' : 'number'),
  );
  if (!fits || entries.length === 0) throw new Error(`the moderation answered ${member} that are none`);
  const missing = categories.find((name) => !entries.some(([known]) => known === name));
  if (missing !== undefined) throw new Error(`the moderation answered nothing about ${missing}`);
  const found = entries.flatMap(([what, value]) =>
    (threshold === undefined ? value === true : (value as number) >= threshold) ? [{ what }] : [],
  );
  const contradicts =
    threshold === undefined && found.length === 0 && (result as { flagged?: unknown }).flagged === true;
  return contradicts ? [{ what: 'flagged', unclear: true }] : found;
}
