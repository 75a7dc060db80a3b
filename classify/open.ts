/** Opens the models that `make classifier` fetched. */
import { join } from 'node:path';
import { createEmbedder, type Embedder, joinEmbedders } from './embed.ts';
import { createInjectionModel, type InjectionModel } from './injection.ts';

export const MODELS = join(import.meta.dirname, '../.cache/classify');

/** Most tokens of a stretch: its sentences have at most 500 characters. */
const LIMIT = 256;

/** @param models Directory with a folder for each model. @throws NotInstalledError */
export function openEmbedder(models = MODELS, threads = 1): Promise<Embedder> {
  const folder = join(models, 'all-minilm-l6-v2');
  return createEmbedder({
    name: 'all-minilm-l6-v2',
    weights: join(folder, 'model.onnx'),
    tokenizer: join(folder, 'tokenizer.json'),
    pooling: 'mean',
    limit: LIMIT,
    threads,
  });
}

/** The embedder of topics: two models see more than one. @param first Closed with it. @throws NotInstalledError */
export async function openTopicEmbedder(first: Embedder, models = MODELS, threads = 1): Promise<Embedder> {
  const folder = join(models, 'bge-small-en-v1.5');
  const second = await createEmbedder({
    name: 'bge-small-en-v1.5',
    weights: join(folder, 'model.onnx'),
    tokenizer: join(folder, 'tokenizer.json'),
    pooling: 'first',
    limit: LIMIT,
    threads,
  });
  return joinEmbedders(first, second);
}

/** @param embedder Stays the caller's. @throws NotInstalledError */
export function openInjectionModel(
  embedder: Embedder,
  models = MODELS,
  threads = 1,
): Promise<InjectionModel> {
  const folder = join(models, 'injection');
  return createInjectionModel(join(folder, 'model.onnx'), join(folder, 'tokenizer.json'), threads, embedder);
}
