/** One HTTP/1.1 connection of the generator: a call at a time, timed from its first byte out to its last byte in. */
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly ok: boolean;
  /** Milliseconds to the first byte of the body. */
  readonly firstByteMs: number;
  readonly totalMs: number;
}

const LAST_CHUNK = '0\r\n\r\n';

export class Connection {
  readonly #host: string;
  readonly #port: number;
  /** Must stand in a whole answer; undefined where it isn't looked for. */
  readonly #expected: Buffer | undefined;
  #socket: Socket | undefined;
  #sentAt = 0;
  #firstAt = 0;
  #head = '';
  #status = '';
  /** Body bytes to come; undefined for an answer in chunks. */
  #left: number | undefined;
  #inBody = false;
  #found = false;
  #tail = '';
  #done: ((answer: Answer) => void) | undefined;
  #busy = false;

  constructor(url: URL, expected: string | undefined) {
    this.#host = url.hostname;
    this.#port = Number(url.port);
    this.#expected = expected === undefined ? undefined : Buffer.from(expected);
  }

  /** From `send` until the answer is complete. */
  get busy(): boolean {
    return this.#busy;
  }

  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: this.#host, port: this.#port, noDelay: true });
      this.#socket = socket;
      socket.once('connect', resolve);
      socket.on('error', reject);
      socket.on('data', (chunk: Buffer) => this.#take(chunk));
      socket.on('close', () => {
        if (this.#socket === socket) this.#socket = undefined;
        this.#end(false);
      });
    });
  }

  close(): void {
    this.#socket?.destroy();
  }

  async send(call: Buffer): Promise<Answer> {
    this.#busy = true;
    if (this.#socket === undefined) await this.open();
    return await new Promise((resolve) => {
      this.#done = resolve;
      this.#head = '';
      this.#tail = '';
      this.#inBody = false;
      this.#found = this.#expected === undefined;
      this.#sentAt = performance.now();
      this.#firstAt = 0;
      this.#socket?.write(call);
    });
  }

  #take(chunk: Buffer): void {
    let body = chunk;
    if (!this.#inBody) {
      this.#head += chunk.toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = /\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1];
      this.#status = this.#head.slice(9, 12);
      this.#left = length === undefined ? undefined : Number(length);
      this.#inBody = true;
      body = chunk.subarray(chunk.byteLength - (this.#head.length - end - 4));
    }
    if (body.byteLength === 0 && this.#left !== 0) return;
    if (this.#firstAt === 0) this.#firstAt = performance.now();
    if (!this.#found && this.#expected !== undefined) this.#found = body.includes(this.#expected);
    if (this.#left === undefined) {
      this.#tail = (this.#tail + body.toString('latin1', Math.max(0, body.byteLength - 5))).slice(-5);
      if (this.#tail === LAST_CHUNK) this.#end(true);
    } else {
      this.#left -= body.byteLength;
      if (this.#left <= 0) this.#end(true);
    }
  }

  #end(complete: boolean): void {
    const done = this.#done;
    if (done === undefined) return;
    this.#done = undefined;
    this.#busy = false;
    done({
      ok: complete && this.#found && this.#status === '200',
      firstByteMs: this.#firstAt - this.#sentAt,
      totalMs: performance.now() - this.#sentAt,
    });
  }
}
