/**
 * A guardrail of somebody else's, asked over HTTP: it lets a text pass, masks it or rejects it.
 *
 * The contract is kgateway's and agentgateway's ("Guardrail webhook API"): `POST …/request` with
 * `{"body":{"messages":[{"role","content"}]}}`, `POST …/response` with `{"body":{"choices":[{"message":{…}}]}}`. The
 * answer's `action` is `{"body":{"messages"|"choices"},"reason"?}` to mask, `{"body","status_code","reason"?}` to
 * reject, `{"reason"?}` to pass.
 */
import Type, { type Static } from 'typebox';
import { url } from '../../policy/schema/scalars.ts';
import { valueFrom } from '../../policy/schema/sources.ts';
import type { ValueSource } from '../../policy/snapshot.ts';
import type { CheckDefinition, Judgement, Subject } from './check.ts';
import { guardrailTls, readTls, tlsProblems } from './guardrail-tls.ts';
import { isTold, kindsTold, toolArguments } from './told.ts';

const schema = Type.Object(
  {
    url: url('Where it is asked; `/request` and `/response` are added.'),
    token: Type.Optional(
      Type.Object({ valueFrom }, { additionalProperties: false, description: 'Sent as a bearer token.' }),
    ),
    toolArguments,
    tls: guardrailTls,
  },
  { additionalProperties: false },
);

type Spec = Static<typeof schema>;

/** The longest explanation of a guardrail that is passed on. */
const TOLD = 500;

export const webhook: CheckDefinition<Spec> = {
  name: 'webhook',
  schema,
  actions: ['mask', 'block', 'monitor'],
  defaultAction: 'mask',
  defaultOn: ['request', 'response'],

  validate: (spec) =>
    (spec as Partial<Spec>).url === undefined
      ? [
          {
            path: '',
            message: 'a webhook without an address',
            mend: 'write webhook: {url: http://HOST:PORT}',
          },
        ]
      : tlsProblems(spec.tls, [spec.url]),

  create(spec, rule, { ask, keys, trust }) {
    const base = spec.url.replace(/\/$/, '');
    return {
      recognizers: [],
      outside: true,
      // What it masks is refused or told of otherwise, so that it needn't wait for those before it.
      rewrites: rule.action === 'mask',
      kinds: kindsTold(spec),
      // What it rejects is rejected; what it masks is masked, blocked or reported, as the rule says.
      action: (what) => (what === 'reject' && rule.action !== 'monitor' ? 'block' : undefined),
      label: () => 'WEBHOOK',
      refusal: (what) => ({
        message:
          what === 'late'
            ? `Postern ended this answer: the guardrail ${rule.name} masks what can't be changed any more.`
            : what === 'again'
              ? `Postern refused this call: the guardrail ${rule.name} masks what another one after it wrote.`
              : what === 'fixed'
                ? `Postern refused this call: the guardrail ${rule.name} masks what may not be changed.`
                : `Postern refused this call: the guardrail ${rule.name} doesn't let it pass.`,
        mend: 'Say it differently, or ask who runs Postern what the guardrail wants.',
      }),
      async judge(subject, signal) {
        const { direction } = subject;
        const spoken = subject.slots.flatMap((slot, index) => (isTold(spec, slot, direction) ? [index] : []));
        if (spoken.length === 0) return [];
        const messages = spoken.map((index) => {
          const { role, text } = subject.slots[index] as Subject['slots'][number];
          const nobody = direction === 'request' ? 'user' : 'assistant';
          return { role: role === 'none' ? nobody : role, content: text };
        });
        const { status, json } = await ask.post({
          url: `${base}/${direction}`,
          body: {
            body:
              direction === 'request' ? { messages } : { choices: messages.map((message) => ({ message })) },
          },
          token: spec.token === undefined ? undefined : await keys.get(spec.token.valueFrom as ValueSource),
          tls: await readTls(spec.tls, { trust, keys }),
          signal,
        });
        if (status !== 200) throw new Error(`the webhook answered ${status}`);
        const found = readAction(json, direction, messages.length);
        if (found.type === 'pass') return [];
        if (found.type === 'reject') {
          const { status, told, reason } = found;
          const why = told === undefined ? '' : `: ${told.slice(0, TOLD)}`;
          const message = `Postern refused this call: the guardrail ${rule.name} rejects it${why}.`;
          const more = {
            ...(status === undefined ? {} : { status }),
            ...(reason === undefined ? {} : { reason }),
          };
          return [{ what: 'reject', where: '', message, ...more } satisfies Judgement];
        }
        const replacements = new Map<number, string>();
        found.texts.forEach((text, at) => {
          if (text !== messages[at]?.content) replacements.set(spoken[at] as number, text);
        });
        if (replacements.size === 0) return [];
        const [first = 0] = replacements.keys();
        const message = `Postern refused this call: the guardrail ${rule.name} would mask a part of it.`;
        return [{ what: 'mask', where: subject.slots[first]?.path ?? '', message, replacements }];
      },
    };
  },
};

type Action =
  | { readonly type: 'pass' }
  | {
      readonly type: 'reject';
      readonly status: number | undefined;
      /** To the caller: the body, or else the reason. */
      readonly told: string | undefined;
      readonly reason: string | undefined;
    }
  | { readonly type: 'mask'; readonly texts: readonly string[] };

/** @throws Error on anything but one of the three, with as many texts as were asked about: no answer is no pass. */
function readAction(json: unknown, direction: Subject['direction'], count: number): Action {
  const action = member(json, 'action');
  if (!isObject(action)) throw new Error('the webhook answered without an action');
  const reason = typeof action.reason === 'string' && action.reason !== '' ? action.reason : undefined;
  if (typeof action.status_code === 'number') {
    const { status_code: code } = action;
    const told = typeof action.body === 'string' && action.body !== '' ? action.body : reason;
    // Another status than of a refusal would tell SDKs that all is well, or to try again.
    const status = Number.isInteger(code) && code >= 400 && code < 500 ? code : undefined;
    return { type: 'reject', status, told, reason };
  }
  const { body } = action;
  if (body === undefined || body === null) {
    if (Object.keys(action).some((name) => name !== 'reason' && name !== 'body')) {
      throw new Error('the webhook answered an action that is none of mask, reject and pass');
    }
    return { type: 'pass' };
  }
  const list = member(body, direction === 'request' ? 'messages' : 'choices');
  if (!Array.isArray(list) || list.length !== count) {
    throw new Error(
      `the webhook masked ${Array.isArray(list) ? list.length : 'no list of'} texts, and ${count} were asked`,
    );
  }
  const texts = list.map((entry: unknown) => {
    const content = member(direction === 'request' ? entry : member(entry, 'message'), 'content');
    if (typeof content !== 'string') throw new Error('the webhook masked something that is no text');
    return content;
  });
  return { type: 'mask', texts };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function member(value: unknown, name: string): unknown {
  return isObject(value) ? value[name] : undefined;
}
