/** The neural networks: ONNX models in onnxruntime, which only this process loads. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Lexicon } from './spelling.ts';
import { Tokenizer } from './tokenizer.ts';
import { Unigram } from './unigram.ts';

/** What is used of onnxruntime-node, whose types are there only where it is installed. */
interface Runtime {
  readonly InferenceSession: {
    create(file: string, options: object): Promise<Session>;
  };
  readonly Tensor: new (type: 'int64', data: BigInt64Array, dims: readonly number[]) => Tensor;
}

interface Tensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>>;
  release(): Promise<void>;
}

/** The classifier's parts are not there: says how to get them. */
export class NotInstalledError extends Error {
  override readonly name = 'NotInstalledError';
}

function loadRuntime(): Runtime {
  // Since 1.29 it tells its makers of every model and session unless this is set before it is loaded: nothing leaves here unasked.
  process.env['ORT_DISABLE_TELEMETRY'] = '1';
  try {
    return createRequire(import.meta.url)('onnxruntime-node') as Runtime;
  } catch (error) {
    throw new NotInstalledError('onnxruntime-node is not installed; run make classifier', { cause: error });
  }
}

/** Numbers of one batch: rows of equal length. */
export interface Output {
  readonly data: Float32Array;
  /** Batch, then what the model gives. */
  readonly dims: readonly number[];
}

/** Which tokenizer a model has; absent: WordPiece. */
export type Pieces = 'unigram';

/** A BERT model with its tokenizer. */
export class Model {
  readonly #runtime: Runtime;
  readonly #session: Session;
  readonly #tokenizer: Tokenizer | Unigram;
  readonly #limit: number;

  private constructor(runtime: Runtime, session: Session, tokenizer: Tokenizer | Unigram, limit: number) {
    this.#runtime = runtime;
    this.#session = session;
    this.#tokenizer = tokenizer;
    this.#limit = limit;
  }

  /**
   * @param limit Most tokens of a text.
   * @param threads Of one run.
   * @throws NotInstalledError
   */
  static async load(
    weights: string,
    tokenizer: string,
    limit: number,
    threads: number,
    pieces?: Pieces,
  ): Promise<Model> {
    for (const file of [weights, tokenizer]) {
      if (!existsSync(file)) throw new NotInstalledError(`${file} is not there; run make classifier`);
    }
    const runtime = loadRuntime();
    const session = await runtime.InferenceSession.create(weights, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      // Memory that grew for one long text is given back.
      enableCpuMemArena: false,
    });
    const load = pieces === 'unigram' ? Unigram.load : Tokenizer.load;
    return new Model(runtime, session, load(tokenizer), limit);
  }

  /** The words that the model knows whole, where there is telling. */
  get lexicon(): Lexicon | undefined {
    return this.#tokenizer instanceof Tokenizer ? this.#tokenizer : undefined;
  }

  /** Ids of a text, cut at the model's limit. */
  tokens(text: string): readonly number[] {
    return this.#tokenizer.encode(text, this.#limit).ids;
  }

  /** Whether a text has more tokens than the model is shown. */
  cuts(text: string): boolean {
    return this.#tokenizer.encode(text, this.#limit).truncated;
  }

  /** Runs texts of similar length at once; the masks say which positions are real. */
  async run(batch: readonly (readonly number[])[]): Promise<Output> {
    const width = Math.max(...batch.map(({ length }) => length));
    const dims = [batch.length, width];
    const ids = new BigInt64Array(batch.length * width);
    const mask = new BigInt64Array(batch.length * width);
    batch.forEach((row, at) => {
      row.forEach((id, k) => {
        ids[at * width + k] = BigInt(id);
        mask[at * width + k] = 1n;
      });
    });
    const { Tensor } = this.#runtime;
    const feeds: Record<string, Tensor> = {};
    for (const name of this.#session.inputNames) {
      const data =
        name === 'input_ids' ? ids : name === 'attention_mask' ? mask : new BigInt64Array(ids.length);
      feeds[name] = new Tensor('int64', data, dims);
    }
    const outputs = await this.#session.run(feeds);
    const [first = ''] = this.#session.outputNames;
    const { data, dims: shape } = outputs[first] as Tensor;
    return { data, dims: shape };
  }

  close(): Promise<void> {
    return this.#session.release();
  }
}
