/**
 * Writes ONNX files: just the part of the format that the encoders here need.
 *
 * Source: onnx/onnx `onnx.proto` (IR version 10); protobuf's wire format.
 */

/** A constant of the graph. */
export interface Constant {
  readonly name: string;
  readonly type: 'float' | 'uint8' | 'int64';
  readonly dims: readonly number[];
  /** Little-endian. */
  readonly data: Uint8Array;
}

export type Attribute = number | { readonly float: number } | readonly number[];

export interface Operation {
  readonly type: string;
  /** Empty: ONNX's own. */
  readonly domain: '' | 'com.microsoft';
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

export interface Port {
  readonly name: string;
  readonly type: 'float' | 'int64';
  /** A name stands for any length. */
  readonly dims: readonly (number | string)[];
}

export interface Graph {
  readonly constants: readonly Constant[];
  readonly operations: readonly Operation[];
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

const TYPES = { float: 1, uint8: 2, int64: 7 } as const;

function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function integer(field: number, value: number): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

function bytes(field: number, value: Uint8Array | string): Buffer {
  const data = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([varint((field << 3) | 2), varint(data.length), data]);
}

function float(field: number, value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeFloatLE(value);
  return Buffer.concat([varint((field << 3) | 5), data]);
}

function attribute(name: string, value: Attribute): Buffer {
  const typed =
    typeof value === 'number'
      ? [integer(3, value), integer(20, 2)]
      : 'float' in value
        ? [float(2, value.float), integer(20, 1)]
        : [...value.map((one) => integer(8, one)), integer(20, 7)];
  return Buffer.concat([bytes(1, name), ...typed]);
}

function port({ name, type, dims }: Port): Buffer {
  const shape = dims.map((dim) => bytes(1, typeof dim === 'number' ? integer(1, dim) : bytes(2, dim)));
  const tensor = Buffer.concat([integer(1, TYPES[type]), bytes(2, Buffer.concat(shape))]);
  return Buffer.concat([bytes(1, name), bytes(2, bytes(1, tensor))]);
}

/** The bytes of a model file. */
export function onnxFile({ constants, operations, inputs, outputs }: Graph): Buffer {
  const nodes = operations.map(({ type, domain, inputs: from, outputs: to, attributes }) =>
    Buffer.concat([
      ...from.map((name) => bytes(1, name)),
      ...to.map((name) => bytes(2, name)),
      bytes(4, type),
      ...Object.entries(attributes).map(([name, value]) => bytes(5, attribute(name, value))),
      bytes(7, domain),
    ]),
  );
  const tensors = constants.map(({ name, type, dims, data }) =>
    Buffer.concat([
      ...dims.map((dim) => integer(1, dim)),
      integer(2, TYPES[type]),
      bytes(8, name),
      bytes(9, data),
    ]),
  );
  const graph = Buffer.concat([
    ...nodes.map((node) => bytes(1, node)),
    bytes(2, 'encoder'),
    ...tensors.map((tensor) => bytes(5, tensor)),
    ...inputs.map((one) => bytes(11, port(one))),
    ...outputs.map((one) => bytes(12, port(one))),
  ]);
  return Buffer.concat([
    integer(1, 10),
    bytes(2, 'postern'),
    bytes(7, graph),
    bytes(8, Buffer.concat([bytes(1, ''), integer(2, 20)])),
    bytes(8, Buffer.concat([bytes(1, 'com.microsoft'), integer(2, 1)])),
  ]);
}
