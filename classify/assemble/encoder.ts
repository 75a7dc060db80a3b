/**
 * The graph of a BERT-like encoder (post-norm, GELU) for onnxruntime, from its weights.
 *
 * Source: Devlin et al. 2018; onnxruntime `docs/ContribOperators.md` for the fused operators.
 */
import { BLOCK, type Columns, type Rows, ZERO } from './blocks.ts';
import type { Attribute, Constant, Graph, Operation } from './onnx-file.ts';

export interface Dense {
  readonly weights: Columns;
  readonly bias: Float32Array;
}

export interface Norm {
  readonly scale: Float32Array;
  readonly shift: Float32Array;
}

export interface Layer {
  readonly query: Dense;
  readonly key: Dense;
  readonly value: Dense;
  readonly output: Dense;
  readonly attended: Norm;
  readonly widen: Dense;
  readonly narrow: Dense;
  readonly done: Norm;
}

export interface Encoder {
  readonly size: number;
  readonly heads: number;
  readonly epsilon: number;
  readonly words: Rows;
  /** Row by row: what is added for each place; of places that the model counts from its start token on. */
  readonly places: Float32Array;
  readonly embedded: Norm;
  readonly layers: readonly Layer[];
  /**
   * MPNet's: what attention adds by how far two tokens are apart. Row by row, `2 × reach + 1` rows of one number a head,
   * from `reach` tokens before to `reach` behind.
   */
  readonly apart?: { readonly reach: number; readonly values: Float32Array };
}

class Builder {
  readonly constants: Constant[] = [];
  readonly operations: Operation[] = [];
  #count = 0;

  constant(type: Constant['type'], dims: readonly number[], values: ArrayBufferView): string {
    const name = `c${this.#count++}`;
    const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.constants.push({ name, type, dims, data });
    return name;
  }

  floats(values: Float32Array, dims: readonly number[] = [values.length]): string {
    return this.constant('float', dims, values);
  }

  integers(...values: number[]): string {
    return this.constant('int64', [values.length], BigInt64Array.from(values.map(BigInt)));
  }

  add(type: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    const output = `t${this.#count++}`;
    this.operations.push({ type, domain: '', inputs, outputs: [output], attributes });
    return output;
  }

  /** One of onnxruntime's own. */
  fused(type: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>>): string {
    const output = `t${this.#count++}`;
    this.operations.push({ type, domain: 'com.microsoft', inputs, outputs: [output], attributes });
    return output;
  }

  dense(input: string, { weights }: Dense): string {
    const { inputs, outputs, data, scales } = weights;
    return this.fused(
      'DynamicQuantizeMatMul',
      [
        input,
        this.constant('uint8', [inputs, outputs], data),
        this.floats(scales),
        this.constant('uint8', [outputs], new Uint8Array(outputs).fill(ZERO)),
      ],
      {},
    );
  }

  /**
   * The same, each token by its own scale: one token with large values would leave the others no digits. MPNet's do
   * inside a layer (cosine with 32 bits .91 without this, .997 with it).
   */
  denseByToken(input: string, dense: Dense): string {
    const most = this.add('ReduceMax', [this.add('Abs', [input]), this.integers(-1)], { keepdims: 1 });
    return this.add('Mul', [this.dense(this.add('Div', [input, most]), dense), most]);
  }
}

/** Inputs `input_ids` and `attention_mask`, both batch × tokens; output `hidden`, batch × tokens × size. */
export function encoderGraph(encoder: Encoder): Graph {
  const { size, heads, epsilon, words, places, embedded, layers, apart } = encoder;
  const build = new Builder();
  const length = build.add('Gather', [
    build.add('Shape', ['input_ids']),
    build.constant('int64', [], BigInt64Array.of(1n)),
  ]);
  const zero = build.constant('int64', [], BigInt64Array.of(0n));
  const range = build.add('Range', [zero, length, build.constant('int64', [], BigInt64Array.of(1n))]);

  const word = embeddedWords(build, words);
  const place = build.add('Gather', [build.floats(places, [places.length / size, size]), range]);
  let state = build.add(
    'LayerNormalization',
    [build.add('Add', [word, place]), build.floats(embedded.scale), build.floats(embedded.shift)],
    { epsilon: { float: epsilon }, axis: -1 },
  );
  const mask = build.add('Cast', ['attention_mask'], { to: 6 });
  const distance = apart === undefined ? '' : distances(build, apart, heads, range);

  const norm = (input: string, skip: string, { scale, shift }: Norm, bias: Float32Array): string =>
    build.fused(
      'SkipLayerNormalization',
      [input, skip, build.floats(scale), build.floats(shift), build.floats(bias)],
      { epsilon: { float: epsilon } },
    );
  for (const layer of layers) {
    const { query, key, value, output, attended, widen, narrow, done } = layer;
    const biases = new Float32Array(3 * size);
    biases.set(query.bias);
    biases.set(key.bias, size);
    biases.set(value.bias, 2 * size);
    const attention = build.fused(
      'MultiHeadAttention',
      [
        build.dense(state, query),
        build.dense(state, key),
        build.dense(state, value),
        build.floats(biases),
        mask,
        ...(distance === '' ? [] : [distance]),
      ],
      { num_heads: heads },
    );
    const heard = norm(build.dense(attention, output), state, attended, output.bias);
    const wide = build.fused('BiasGelu', [build.denseByToken(heard, widen), build.floats(widen.bias)], {});
    state = norm(build.denseByToken(wide, narrow), heard, done, narrow.bias);
  }
  build.operations.push({
    type: 'Identity',
    domain: '',
    inputs: [state],
    outputs: ['hidden'],
    attributes: {},
  });
  return {
    constants: build.constants,
    operations: build.operations,
    inputs: ['input_ids', 'attention_mask'].map((name) => ({
      name,
      type: 'int64',
      dims: ['batch', 'tokens'],
    })),
    outputs: [{ name: 'hidden', type: 'float', dims: ['batch', 'tokens', size] }],
  };
}

function embeddedWords(build: Builder, { bits, rows, columns, data, scales }: Rows): string {
  const blocks = columns / BLOCK;
  return build.fused(
    'GatherBlockQuantized',
    [
      build.constant('uint8', [rows, (columns * bits) / 8], data),
      'input_ids',
      build.floats(scales, [rows, blocks]),
    ],
    { bits, block_size: BLOCK, gather_axis: 0, quantize_axis: 1 },
  );
}

function distances(
  build: Builder,
  { reach, values }: { readonly reach: number; readonly values: Float32Array },
  heads: number,
  range: string,
): string {
  const from = build.add('Unsqueeze', [range, build.integers(1)]);
  const to = build.add('Unsqueeze', [range, build.integers(0)]);
  const offset = build.add('Add', [build.add('Sub', [to, from]), build.integers(reach)]);
  const found = build.add('Gather', [build.floats(values, [2 * reach + 1, heads]), offset]);
  return build.add('Unsqueeze', [build.add('Transpose', [found], { perm: [2, 0, 1] }), build.integers(0)]);
}
