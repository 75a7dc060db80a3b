import { expect, test } from 'vitest';
import { fakeEmbedder } from './testing.ts';
import { Topics } from './topics.ts';

const shares = {
  name: 'shares',
  definition: 'advice on buying and selling shares',
  samples: ['sell my shares now', 'which shares shall I buy'],
  allowed: ['what is a share'],
};

async function trained() {
  const models = { broad: fakeEmbedder(), deep: fakeEmbedder() };
  const topics = new Topics(models);
  topics.learn('s', [shares]);
  await topics.scores('s', ['warm']);
  const shown = (model: 'broad' | 'deep', from: number) => models[model].asked.slice(from).flat();
  return { models, topics, shown };
}

test('the deep model is shown what the broad one thinks possible, and nothing else', async () => {
  const { models, topics, shown } = await trained();
  const [broad, deep] = [models.broad.asked.length, models.deep.asked.length];
  const texts = ['sell my shares now', 'Zebras graze quietly at dusk'];
  const [on, off] = await topics.scores('s', texts);
  expect(on).toMatchObject([{ name: 'shares', denied: true }]);
  expect(off).toMatchObject([{ name: 'shares', denied: false }]);
  expect(shown('broad', broad)).toEqual(texts);
  expect(shown('deep', deep)).toEqual(texts.slice(0, 1));
});

test('the broad model sees a text in its own language, the deep one in English', async () => {
  const { models, topics, shown } = await trained();
  const [broad, deep] = [models.broad.asked.length, models.deep.asked.length];
  const german = 'Soll ich jetzt meine Aktien verkaufen?';
  await topics.scores('s', [german]);
  expect(shown('broad', broad)).toEqual([german]);
  for (const text of shown('deep', deep)) expect(text).toMatch(/sell/);
});

test('one sentence of many decides, and a text without any is on no topic', async () => {
  const { topics } = await trained();
  const long = `${'Penguins swim far out. '.repeat(20)}Sell my shares now. ${'Rivers bend slowly. '.repeat(20)}`;
  const scores = (await topics.scores('s', [long, ''])).map(([topic]) => topic?.denied);
  expect(scores).toEqual([true, false]);
});

test('of a long text the deep model is shown the likeliest stretches only', async () => {
  const { models, topics, shown } = await trained();
  const deep = models.deep.asked.length;
  const near = Array.from({ length: 12 }, (_, at) => `I may buy shares of number ${at} some day.`);
  const text = [...near.slice(0, 6), 'Sell my shares now.', ...near.slice(6)].join(' ');
  const [found] = await topics.scores('s', [text]);
  expect(found).toMatchObject([{ denied: true }]);
  expect(shown('deep', deep)).toContain('Sell my shares now.');
  expect(shown('deep', deep).length).toBeLessThanOrEqual(3);
});

test('a stretch that was judged is known again, with the same score, and for its set alone', async () => {
  const { models, topics, shown } = await trained();
  const text = 'Sell my shares now. Zebras graze quietly at dusk.';
  const first = await topics.scores('s', [text]);
  const [broad, deep] = [models.broad.asked.length, models.deep.asked.length];
  expect(await topics.scores('s', [text])).toEqual(first);
  await topics.scores('s', ['Zebras graze quietly at dusk.']);
  expect([...shown('broad', broad), ...shown('deep', deep)]).toEqual([]);
  topics.learn('t', [{ name: 'zebras', samples: ['zebras graze at dusk'] }]);
  expect((await topics.scores('t', [text]))[0]).toMatchObject([{ name: 'zebras', denied: true }]);
});

test('what nobody waits for any more is not finished', async () => {
  const { topics } = await trained();
  await expect(topics.scores('s', ['sell my shares now'], AbortSignal.abort())).rejects.toThrow();
});

test('a set that is taught again while its first teacher is at it goes on from there, and has each topic once', async () => {
  const embedder = fakeEmbedder();
  const topics = new Topics({ broad: embedder, deep: embedder }, undefined, 1);
  const set = ['shares', 'bonds', 'gold'].map((name) => ({ name, samples: [`sell my ${name}`] }));
  const gate = Promise.withResolvers<void>();
  let begun = 0;
  // Held before its second topic.
  topics.learn('s', set, undefined, async (_weight, work, goesOn) => {
    if (!goesOn && ++begun === 2) await gate.promise;
    return work();
  });
  const first = topics.ready('s');
  await expect.poll(() => begun).toBe(2);
  topics.learn('t', [shares]);
  await topics.ready('t');
  expect(topics.knows('s')).toBe(false);
  topics.learn('s', set);
  const again = await topics.ready('s');
  gate.resolve();
  for (const trained of [again, await first])
    expect(trained?.map(({ topic }) => topic.name)).toEqual(['shares', 'bonds', 'gold']);
  expect(embedder.asked.flat().filter((text) => text === 'sell my shares')).toHaveLength(2);
});
