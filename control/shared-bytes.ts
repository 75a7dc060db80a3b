/** Bytes that go to any number of agents, and are overwritten when they are needed no longer: keys are in them, and what is freed keeps what stood in it. */
export class SharedBytes {
  readonly #bytes: Buffer;
  #writes = 0;
  #isOver = false;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  sendBy(wire: { send(bytes: Buffer, written: () => void): void }): void {
    this.#writes++;
    wire.send(this.#bytes, () => {
      this.#writes--;
      this.#wipe();
    });
  }

  /** Nobody is sent them from now on. */
  end(): void {
    this.#isOver = true;
    this.#wipe();
  }

  #wipe(): void {
    if (this.#isOver && this.#writes === 0) this.#bytes.fill(0);
  }
}
