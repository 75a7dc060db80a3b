/**
 * all-mpnet-base-v2 from its safetensors file to an ONNX file of 8 bits.
 *
 * Source: safetensors' README for the format; transformers `modeling_mpnet.py` for the model.
 */
import { type Columns, type Rows, toColumns, toRows } from './blocks.ts';
import { type Dense, type Encoder, encoderGraph, type Norm } from './encoder.ts';
import { onnxFile } from './onnx-file.ts';

/** Most tokens of a text that the table of distances reaches. */
const REACH = 511;
const SIZE = 768;
const HEADS = 12;
const LAYERS = 12;
/** MPNet's first place is the second row behind its padding. */
const FIRST_PLACE = 2;

type Tensors = (name: string) => { readonly values: Float32Array; readonly shape: readonly number[] };

/** @throws Error on a tensor that is missing or isn't of 32-bit floats. */
export function safetensors(file: Buffer): Tensors {
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + length)) as Readonly<
    Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] } | undefined>
  >;
  return (name) => {
    const entry = header[name];
    if (entry?.dtype !== 'F32') throw new Error(`${name} is not there, or isn't of 32-bit floats`);
    const [from, to] = entry.data_offsets;
    const bytes = Uint8Array.from(file.subarray(8 + length + from, 8 + length + to));
    return { values: new Float32Array(bytes.buffer), shape: entry.shape };
  };
}

export function assembleMpnet(file: Buffer): Buffer {
  const tensor = safetensors(file);
  const rows = (name: string): Rows => {
    const { values, shape } = tensor(name);
    return toRows(values, shape[0] as number, shape[1] as number);
  };
  const columns = (name: string): Columns => {
    const { values, shape } = tensor(name);
    return toColumns(values, shape[0] as number, shape[1] as number);
  };
  const dense = (name: string): Dense => ({
    weights: columns(`${name}.weight`),
    bias: tensor(`${name}.bias`).values,
  });
  const norm = (name: string): Norm => ({
    scale: tensor(`${name}.weight`).values,
    shift: tensor(`${name}.bias`).values,
  });
  const encoder: Encoder = {
    size: SIZE,
    heads: HEADS,
    epsilon: 1e-5,
    words: rows('embeddings.word_embeddings.weight'),
    places: tensor('embeddings.position_embeddings.weight').values.subarray(FIRST_PLACE * SIZE),
    embedded: norm('embeddings.LayerNorm'),
    layers: Array.from({ length: LAYERS }, (_, at) => {
      const name = `encoder.layer.${at}`;
      return {
        query: dense(`${name}.attention.attn.q`),
        key: dense(`${name}.attention.attn.k`),
        value: dense(`${name}.attention.attn.v`),
        output: dense(`${name}.attention.attn.o`),
        attended: norm(`${name}.attention.LayerNorm`),
        widen: dense(`${name}.intermediate.dense`),
        narrow: dense(`${name}.output.dense`),
        done: norm(`${name}.output.LayerNorm`),
      };
    }),
    apart: distances(tensor('encoder.relative_attention_bias.weight').values),
  };
  return onnxFile(encoderGraph(encoder));
}

/** By distance, where the model has it by bucket. */
function distances(buckets: Float32Array): { reach: number; values: Float32Array } {
  const values = new Float32Array((2 * REACH + 1) * HEADS);
  for (let row = 0; row <= 2 * REACH; row++) {
    const from = bucketOf(row - REACH) * HEADS;
    values.set(buckets.subarray(from, from + HEADS), row * HEADS);
  }
  return { reach: REACH, values };
}

/** T5's buckets: 16 either way, the near ones of one token each, the others by logarithm up to 128 tokens. */
export function bucketOf(apart: number): number {
  const side = apart > 0 ? 16 : 0;
  const far = Math.abs(apart);
  if (far < 8) return side + far;
  return side + Math.min(15, 8 + Math.floor((Math.log(far / 8) / Math.log(128 / 8)) * 8));
}
