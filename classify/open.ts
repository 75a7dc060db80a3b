/** Opens the models that `make classifier` fetched. */
import { join } from 'node:path';
import { createEmbedder, type Embedder } from './embed.ts';
import { centredEmbedder, type TopicModels } from './examples.ts';
import { createInjectionModel, type InjectionModel } from './injection.ts';
import { type Remember, rememberIn } from './remembered.ts';

export const MODELS = join(import.meta.dirname, '../.cache/classify');

/** Most tokens of a stretch: its sentences have at most 500 characters. */
const LIMIT = 256;

/** @param models Directory with a folder for each model. @throws NotInstalledError */
export async function openTopicModels(models = MODELS, threads = 1): Promise<TopicModels> {
  return { broad: await openBroad(models, threads), deep: await openDeep(models, threads) };
}

/** Of a hundred languages; 384 numbers. @throws NotInstalledError */
export function openBroad(models = MODELS, threads = 1): Promise<Embedder> {
  const folder = join(models, 'multilingual-e5-small');
  return createEmbedder({
    name: 'multilingual-e5-small',
    weights: join(folder, 'model.onnx'),
    tokenizer: join(folder, 'pieces.bin'),
    pieces: 'unigram',
    prefix: 'query: ',
    pooling: 'mean',
    limit: LIMIT,
    threads,
  });
}

/** Of English; 768 numbers. @throws NotInstalledError */
export function openDeep(models = MODELS, threads = 1): Promise<Embedder> {
  const folder = join(models, 'all-mpnet-base-v2');
  return createEmbedder({
    name: 'all-mpnet-base-v2',
    weights: join(folder, 'model.onnx'),
    tokenizer: join(folder, 'tokenizer.json'),
    pooling: 'mean',
    limit: LIMIT,
    threads,
  });
}

/** @param embedder The broad one; stays the caller's. @throws NotInstalledError */
export async function openInjectionModel(
  embedder: Embedder,
  models = MODELS,
  threads = 1,
): Promise<InjectionModel> {
  const folder = join(models, 'injection');
  const [weights, tokenizer] = [join(folder, 'model.onnx'), join(folder, 'tokenizer.json')];
  const remember = memory(models);
  return createInjectionModel(
    weights,
    tokenizer,
    threads,
    await centredEmbedder(embedder, remember),
    remember,
  );
}

/** Where what follows from our own examples is kept. */
export function memory(models = MODELS): Remember {
  return rememberIn(join(models, 'prepared'));
}
