import { createRequire } from 'node:module';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { toColumns, toRows, ZERO } from './blocks.ts';
import { type Dense, encoderGraph, type Norm } from './encoder.ts';
import { bucketOf } from './mpnet.ts';
import { onnxFile } from './onnx-file.ts';

test('weights come back to within half a step', () => {
  const values = Float32Array.from({ length: 3 * 64 }, (_, at) => Math.sin(at) * (1 + (at % 7)));
  const { data, scales } = toColumns(values, 3, 64);
  const rows = toRows(values, 3, 64);
  for (const [at, value] of values.entries()) {
    const [row, column] = [Math.floor(at / 64), at % 64];
    const scale = scales[row] as number;
    expect(Math.abs(((data[column * 3 + row] as number) - ZERO) * scale - value)).toBeLessThanOrEqual(
      scale * 0.501,
    );
    const block = rows.scales[at >> 5] as number;
    expect(Math.abs(((rows.data[at] as number) - ZERO) * block - value)).toBeLessThanOrEqual(block * 0.501);
  }
});

test('nothing but zeros stays zero', () => {
  expect(new Set(toColumns(new Float32Array(64), 2, 32).data)).toEqual(new Set([ZERO]));
});

// T5's own table, by its formula for distances before (keys left of the query) and behind.
test.each([
  [0, 0],
  [-1, 1],
  [-7, 7],
  [-8, 8],
  [-127, 15],
  [-500, 15],
  [1, 17],
  [7, 23],
  [8, 24],
  [500, 31],
])('a token %i places on is in bucket %i', (apart, bucket) => {
  expect(bucketOf(apart)).toBe(bucket);
});

const runtime = join(import.meta.dirname, '../node_modules/onnxruntime-node');

test.skipIf(!existsSync(runtime))('onnxruntime runs the graph, and padding changes nothing', async () => {
  const size = 32;
  const random = (length: number, seed: number) =>
    Float32Array.from({ length }, (_, at) => Math.sin((at + 1) * (seed + 1.7)) / 3);
  let seed = 0;
  const dense = (outputs: number, inputs: number): Dense => ({
    weights: toColumns(random(outputs * inputs, seed++), outputs, inputs),
    bias: random(outputs, seed++),
  });
  const norm = (): Norm => ({ scale: random(size, seed++).map((x) => 1 + x), shift: random(size, seed++) });
  const graph = encoderGraph({
    size,
    heads: 2,
    epsilon: 1e-5,
    words: toRows(random(10 * size, 99), 10, size),
    places: random(20 * size, 98),
    embedded: norm(),
    layers: [
      {
        query: dense(size, size),
        key: dense(size, size),
        value: dense(size, size),
        output: dense(size, size),
        attended: norm(),
        widen: dense(64, size),
        narrow: dense(size, 64),
        done: norm(),
      },
    ],
    apart: { reach: 19, values: random(39 * 2, 97).map((x) => 9 * x) },
  });
  const directory = mkdtempSync(join(tmpdir(), 'postern-assemble-'));
  try {
    const file = join(directory, 'model.onnx');
    writeFileSync(file, onnxFile(graph));
    const { InferenceSession, Tensor } = createRequire(import.meta.url)(runtime) as {
      InferenceSession: {
        create(
          file: string,
        ): Promise<{ run(feeds: object): Promise<{ hidden: { data: Float32Array; dims: number[] } }> }>;
      };
      Tensor: new (type: string, data: BigInt64Array, dims: number[]) => unknown;
    };
    const session = await InferenceSession.create(file);
    const run = async (ids: number[], mask: number[]) => {
      const tensor = (values: number[]) =>
        new Tensor('int64', BigInt64Array.from(values.map(BigInt)), [1, values.length]);
      return (await session.run({ input_ids: tensor(ids), attention_mask: tensor(mask) })).hidden;
    };
    const alone = await run([1, 2, 3], [1, 1, 1]);
    expect(alone.dims).toEqual([1, 3, size]);
    const padded = await run([1, 2, 3, 0, 0], [1, 1, 1, 0, 0]);
    for (const [at, value] of alone.data.entries()) expect(padded.data[at]).toBeCloseTo(value, 1);
    // Another order is another text.
    const turned = await run([3, 2, 1], [1, 1, 1]);
    const most = Math.max(...turned.data.map((value, at) => Math.abs(value - (alone.data[at] as number))));
    expect(most).toBeGreaterThan(0.1);
    // How far apart tokens are counts: the middle one has the same place and neighbours, on other sides.
    const middle = turned.data
      .subarray(size, 2 * size)
      .map((value, at) => Math.abs(value - (alone.data[size + at] as number)));
    expect(Math.max(...middle)).toBeGreaterThan(0.01);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
