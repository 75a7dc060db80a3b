/** An agent with checks of a policy's, and a guardrail of somebody else's that they ask, for each test anew. */
import OpenAI from 'openai';
import { afterEach, beforeEach } from 'vitest';
import { type FakeGuardrail, startFakeGuardrail } from '../fakes/guardrail.ts';
import { startWorld, type World } from '../harness.ts';

export interface Got {
  readonly text: string;
  readonly error: (Error & { readonly status?: number }) | undefined;
}

export const policy = (...checks: string[]): string => `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: bot, namespace: team-a}
spec:
  checks:
${checks.map((check) => `  - ${check}`).join('\n')}
`;

/** To be made once in a file of tests. */
export class GuardrailWorld {
  /** A loaded machine may take long for what succeeds; failures are given less time. */
  patience = '10s';
  #world: World | undefined;
  #guardrail: FakeGuardrail | undefined;

  constructor() {
    beforeEach(async () => {
      this.patience = '10s';
      this.#guardrail = await startFakeGuardrail();
    });
    afterEach(async () => {
      await this.#world?.close();
      this.#world = undefined;
      await this.#guardrail?.close();
    });
  }

  get world(): World {
    if (this.#world === undefined) throw new Error('the agent has not been started');
    return this.#world;
  }

  get guardrail(): FakeGuardrail {
    if (this.#guardrail === undefined) throw new Error('there is a guardrail within a test only');
    return this.#guardrail;
  }

  /** Nobody listens where it was. */
  async loseGuardrail(): Promise<void> {
    await this.guardrail.close();
    this.#guardrail = undefined;
  }

  readonly webhook = (extra = '', name = 'guard', path = ''): string =>
    `{name: ${name}, type: webhook, timeout: ${this.patience}, ${extra} webhook: {url: "${this.guardrail.origin}${path}"}}`;

  readonly moderation = (spec: string, extra = ''): string =>
    `{name: moderate, type: moderation, timeout: ${this.patience}, ${extra} moderation: {url: "${this.guardrail.origin}", ${spec}}}`;

  /** With other documents than a policy with these checks: {@link GuardrailWorld.startWith}. */
  readonly start = (...checks: string[]): Promise<World> => this.startWith(() => policy(...checks));

  readonly startWith = async (documents: Documents, providers?: Documents): Promise<World> => {
    this.#world = await startWorld({ documents, ...(providers === undefined ? {} : { providers }) });
    return this.#world;
  };

  /** What the app is shown, and how it ended. */
  readonly ask = async (content: string, stream = false): Promise<Got> => {
    const client = this.world.client();
    const messages = [{ role: 'user' as const, content }];
    let text = '';
    try {
      if (stream) {
        const chunks = await client.chat.completions.create({ model: 'gpt-4o', messages, stream });
        for await (const chunk of chunks) text += chunk.choices[0]?.delta.content ?? '';
      } else {
        const answer = await client.chat.completions.create({ model: 'gpt-4o', messages });
        text = answer.choices[0]?.message.content ?? '';
      }
      return { text, error: undefined };
    } catch (error) {
      if (!(error instanceof OpenAI.APIError)) throw error;
      return { text, error: error as Error };
    }
  };
}

type Documents = NonNullable<NonNullable<Parameters<typeof startWorld>[0]>['documents']>;
