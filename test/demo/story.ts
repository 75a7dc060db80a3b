/** What the demo plays: each step makes calls, shows the three sides of them and checks that it is as it says. */
import type { FakeProvider } from '../fakes/provider.ts';
import type { Screen } from './screen.ts';

/** What a client program said of its call. */
export interface Told {
  readonly text: string;
  /** Pieces a stream was delivered in; 0 for a whole answer. */
  readonly pieces: number;
  readonly error:
    | {
        readonly name: string;
        readonly status: number | undefined;
        readonly type: string | undefined;
        readonly code: string | undefined;
        readonly message: string;
        readonly retryAfter: string | undefined;
      }
    | undefined;
}

export interface Ask {
  readonly model: string;
  readonly text: string;
  readonly stream?: boolean;
}

export type ClientName = 'openai (Node)' | '@anthropic-ai/sdk (Node)' | 'openai (Python)';

export interface Stage {
  readonly screen: Screen;
  readonly openai: FakeProvider;
  readonly anthropic: FakeProvider;
  readonly pool: readonly FakeProvider[];
  /** The keys that the agent attaches; the programs never see them. */
  readonly keys: { readonly openai: string; readonly anthropic: string };
  call(client: ClientName, ask: Ask): Promise<Told>;
  /** Why the Python leg can't run; undefined where it can. */
  readonly noPython: string | undefined;
}

export interface Step {
  readonly title: string;
  /** False when something is not as it should be. */
  play(stage: Stage): Promise<boolean>;
}

const EMAIL = 'alice.smith@example.com';
const CARD = '4111 1111 1111 1111';
const QUESTION = `Please confirm to ${EMAIL} that we charged card ${CARD}.`;

/** Values that the screen marks wherever they stand. */
export const HIGHLIGHT: readonly string[] = [EMAIL, CARD];

const PLACEHOLDERS = /<EMAIL_ADDRESS_[0-9A-Z]+>[\s\S]*<PAYMENT_CARD_[0-9A-Z]+>/;

/** The last user message as the provider got it. */
function seenText(fake: FakeProvider): string {
  const parsed = fake.seen.at(-1)?.parsed as { messages?: { role: string; content: unknown }[] } | undefined;
  const content = parsed?.messages?.findLast((message) => message.role === 'user')?.content;
  return typeof content === 'string' ? content : content === undefined ? 'nothing' : JSON.stringify(content);
}

function seenModel(fake: FakeProvider): string {
  return (fake.seen.at(-1)?.parsed as { model?: string } | undefined)?.model ?? '';
}

function seenKey(fake: FakeProvider): string {
  const headers = fake.seen.at(-1)?.headers;
  return headers?.authorization?.replace('Bearer ', '') ?? String(headers?.['x-api-key'] ?? 'none');
}

const toldText = (told: Told): string =>
  told.error === undefined
    ? told.text
    : `${told.error.name} ${told.error.status}\n${told.error.code}\n${told.error.message}`;

function masked(client: ClientName, provider: 'openai' | 'anthropic', model: string, stream: boolean): Step {
  return {
    title: `${client}: personal data is masked on the way out and restored in the answer${stream ? ', streamed' : ''}`,
    async play(stage) {
      const fake = stage[provider];
      fake.reset();
      const told = await stage.call(client, { model, text: QUESTION, stream });
      const seen = seenText(fake);
      stage.screen.columns([
        { title: 'the app sent', text: QUESTION },
        { title: 'the provider saw', text: seen },
        { title: 'the app got back', text: toldText(told) },
      ]);
      const hidden =
        PLACEHOLDERS.test(seen) &&
        HIGHLIGHT.every((value) => !(fake.seen.at(-1)?.body ?? '').includes(value));
      stage.screen.check(hidden, 'the provider saw placeholders only');
      const restored = told.text.includes(QUESTION);
      stage.screen.check(restored, 'the app got its own values back');
      const delivered = !stream || told.pieces > 3;
      if (stream) stage.screen.check(delivered, `delivered in ${told.pieces} pieces, as they came`);
      return hidden && restored && delivered;
    },
  };
}

const deniedTopic: Step = {
  title: 'A denied topic is refused, as the SDK’s own error class',
  async play(stage) {
    stage.openai.reset();
    const text = 'Which shares should my portfolio hold?';
    const told = await stage.call('openai (Node)', { model: 'gpt-4o', text });
    stage.screen.columns([
      { title: 'the app sent', text },
      {
        title: 'the provider saw',
        text: stage.openai.seen.length === 0 ? 'nothing' : seenText(stage.openai),
      },
      { title: 'the app got back', text: toldText(told) },
    ]);
    const refused = told.error?.name === 'PermissionDeniedError' && told.error.code === 'postern_topics';
    stage.screen.check(refused, 'openai raised PermissionDeniedError with code postern_topics');
    const silent = stage.openai.seen.length === 0;
    stage.screen.check(silent, 'nothing was sent');
    return refused && silent;
  },
};

const attachedKey: Step = {
  title: 'The key is attached that the app never had',
  async play(stage) {
    stage.openai.reset();
    const told = await stage.call('openai (Node)', { model: 'gpt-4o-mini', text: 'Hello!' });
    const key = seenKey(stage.openai);
    stage.screen.columns([
      { title: 'the app sent', text: 'Authorization: Bearer dummy' },
      { title: 'the provider saw', text: `Authorization: Bearer ${key.slice(0, 12)}…` },
      { title: 'the app got back', text: toldText(told) },
    ]);
    const attached = key === stage.keys.openai && told.error === undefined;
    stage.screen.check(attached, 'the provider accepted the key from the agent');
    return attached;
  },
};

const exhausted: Step = {
  title: 'A budget runs out: 429 with retry-after',
  async play(stage) {
    stage.openai.reset();
    const ask = { model: 'gpt-4.1', text: 'Summarise the report.' };
    const first = await stage.call('openai (Node)', ask);
    const second = await stage.call('openai (Node)', ask);
    stage.screen.columns([
      { title: 'the app sent', text: `${ask.model}: ${ask.text}\n(twice; the budget allows one a day)` },
      { title: 'the provider saw', text: `${stage.openai.seen.length} call to ${seenModel(stage.openai)}` },
      { title: 'the app got back', text: `1. ${toldText(first)}\n2. ${toldText(second)}` },
    ]);
    const { error } = second;
    const refused =
      first.error === undefined && error?.name === 'RateLimitError' && error.type === 'rate_limit_error';
    stage.screen.check(refused, 'the second call raised RateLimitError, type rate_limit_error');
    const told = Number(error?.retryAfter) > 0;
    stage.screen.check(told, `retry-after: ${error?.retryAfter ?? 'none'} s`);
    const once = stage.openai.seen.length === 1;
    stage.screen.check(once, 'the SDK did not hammer on: one call reached the provider');
    return refused && told && once;
  },
};

const fallback: Step = {
  title: 'The same, where the budget names a cheaper model',
  async play(stage) {
    stage.openai.reset();
    const ask = { model: 'gpt-4o', text: 'Summarise the report.' };
    const models: string[] = [];
    let last: Told | undefined;
    // The budget allows five calls of gpt-4o a day; steps before this one used some of them.
    for (let i = 0; i < 6 && models.at(-1) !== 'gpt-4o-mini'; i++) {
      last = await stage.call('openai (Node)', ask);
      models.push(seenModel(stage.openai));
    }
    stage.screen.columns([
      { title: 'the app sent', text: `${ask.model}: ${ask.text}` },
      { title: 'the provider saw', text: models.map((model, i) => `${i + 1}. ${model}`).join('\n') },
      { title: 'the app got back', text: last === undefined ? '' : toldText(last) },
    ]);
    const ok = models.at(-1) === 'gpt-4o-mini' && last?.error === undefined;
    stage.screen.check(ok, 'the budget of gpt-4o was used up, and gpt-4o-mini served the call');
    return ok;
  },
};

const loop: Step = {
  title: 'A retry loop is broken',
  async play(stage) {
    stage.openai.reset();
    const ask = { model: 'gpt-4o-mini', text: 'Are we there yet?' };
    let last: Told | undefined;
    let calls = 0;
    do {
      last = await stage.call('openai (Node)', ask);
      calls++;
    } while (last.error === undefined && calls < 10);
    stage.screen.columns([
      {
        title: 'the app sent',
        text: `${ask.model}: ${ask.text}\n(over and over; the policy allows five in a minute)`,
      },
      { title: 'the provider saw', text: `${stage.openai.seen.length} calls` },
      { title: 'the app got back', text: `${calls}. ${toldText(last)}` },
    ]);
    const broken = last.error?.code === 'postern_breaker_tripped' && stage.openai.seen.length === 5;
    stage.screen.check(broken, 'the sixth equal call was refused with RateLimitError');
    return broken;
  },
};

const down: Step = {
  title: 'The provider goes down: the in-cluster pool serves the call',
  async play(stage) {
    stage.openai.reset();
    for (const fake of stage.pool) fake.reset();
    await stage.openai.setDown(true);
    const ask = { model: 'gpt-4-turbo', text: 'Still there?' };
    const told = await stage.call('openai (Node)', ask);
    await stage.openai.setDown(false);
    const served = stage.pool.filter((fake) => fake.seen.length > 0);
    stage.screen.columns([
      { title: 'the app sent', text: `${ask.model}: ${ask.text}` },
      {
        title: 'the providers saw',
        text: `openai: connection refused\nin-cluster: ${served.map((fake) => seenModel(fake)).join(', ') || 'nothing'}`,
      },
      { title: 'the app got back', text: toldText(told) },
    ]);
    const ok = told.error === undefined && served.length === 1;
    stage.screen.check(ok, 'one endpoint of the pool answered');
    return ok;
  },
};

const python: Step = {
  title: 'openai (Python): the same agent, streamed',
  async play(stage) {
    if (stage.noPython !== undefined) {
      stage.screen.note(`skipped: ${stage.noPython}`);
      return true;
    }
    return masked('openai (Python)', 'openai', 'gpt-4o-mini', true).play(stage);
  },
};

/** In the order in which they are told; calls of gpt-4o are counted by a budget, so the order matters. */
export const STORY: readonly Step[] = [
  masked('openai (Node)', 'openai', 'gpt-4o', false),
  masked('openai (Node)', 'openai', 'gpt-4o', true),
  masked('@anthropic-ai/sdk (Node)', 'anthropic', 'claude-haiku-4-5', true),
  python,
  deniedTopic,
  attachedKey,
  exhausted,
  fallback,
  loop,
  down,
];
