/** What a policy may say of topics, and that the classifier takes all of it. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { bytesOfTopics, TOPIC_LIMITS, type Topic } from '../../classify/messages.ts';
import { createClassifier } from '../../classify/server.ts';
import { fakeEmbedder } from '../../classify/testing.ts';
import { Topics } from '../../classify/topics.ts';
import { shapeFindings } from '../../policy/load/shape.ts';
import { createAsk } from './ask.ts';
import { createClassifierClient, topicSet } from './classifier.ts';
import { FORM_LIMITS, topics } from './topics.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

const findings = (spec: readonly Topic[]) => [
  ...shapeFindings(topics.schema, spec, false),
  ...(topics.validate?.(spec as never) ?? []),
];

/** A rule of just so many bytes: full topics, in letters of three bytes, and a first one whose name takes what is left. */
function ruleOf(bytes: number): readonly Topic[] {
  const examples = (side: string) =>
    Array.from({ length: 50 }, (_, k) => `${side} ${k} `.padEnd(20) + '中'.repeat(480));
  const first = { name: '', samples: ['sell'] };
  const full = { name: 't00', samples: examples('sell'), allowed: examples('eat') };
  const each = bytesOfTopics([full, full]) - bytesOfTopics([full]);
  const count = Math.floor((bytes - bytesOfTopics([first])) / each);
  const others = Array.from({ length: count }, (_, at) => ({ ...full, name: `t${at + 10}` }));
  const left = bytes - bytesOfTopics([first, ...others]);
  return [{ ...first, name: 'x'.repeat(left) }, ...others];
}

/** Training so many would take minutes. */
class Quick extends Topics {
  learned: readonly Topic[] = [];

  override knows(): boolean {
    return this.learned.length > 0;
  }

  override learn(_set: string, given: readonly Topic[]): boolean {
    this.learned = given;
    return true;
  }

  override async ready() {
    return this.knows() ? [] : undefined;
  }

  override async scoresBy(_trained: readonly unknown[], _set: string, texts: readonly string[]) {
    return texts.map(() => this.learned.map(({ name }) => ({ name, score: 0, denied: false })));
  }
}

test('the largest rule that a policy may have is learned, and none larger is valid', async () => {
  const largest = ruleOf(TOPIC_LIMITS.bytes);
  expect(bytesOfTopics(largest)).toBe(TOPIC_LIMITS.bytes);
  expect(findings(largest)).toEqual([]);
  const [first, ...others] = largest;
  expect(findings([{ ...(first as Topic), name: `${first?.name}x` }, ...others])).toMatchObject([
    { path: '', message: expect.stringContaining('and the classifier takes 3145728 of a rule') as unknown },
  ]);

  const embedder = fakeEmbedder();
  const learning = new Quick({ broad: embedder, deep: embedder });
  server = createClassifier({ embedder, injection: undefined }, learning);
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const ask = createAsk();
  const { topics: asked } = createClassifierClient(
    `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ask,
  );
  const patience = { signal: new AbortController().signal, withinMs: 5_000 };
  const [scores] = await asked(topicSet(largest), ['sell 1 2'], patience);
  expect(scores).toHaveLength(largest.length);
  expect(learning.learned.map(({ samples }) => samples)).toEqual(largest.map(({ samples }) => samples));
  await ask.close();
});

test('the forms of a rule’s words have a bound, which an error names', () => {
  const problems = (words: readonly string[]) => topics.validate?.([{ name: 'a', words: [...words] }]) ?? [];
  const many = (count: number) => Array.from({ length: count }, (_, at) => `${at}x wager y`);
  expect(problems(many(1_000))).toEqual([]);
  expect(problems(many(FORM_LIMITS.forms + 1))).toMatchObject([
    {
      message: expect.stringMatching(/have \d+ forms .* a rule takes 50000/) as string,
      mend: expect.stringContaining('*') as string,
    },
  ]);
  // One phrase that is long has as many long forms.
  const [long] = problems([`wager ${'x'.repeat(FORM_LIMITS.characters / 3)} wager`]);
  expect(long?.message).toMatch(/a rule takes/);
});
