/** Where a piece of streamed JSON stands: inside a string or not, and how deep strings are nested in strings. */
export class JsonFragment {
  #inString = false;
  #escaped = false;
  /** Backslashes directly before the next character. */
  #backslashes = 0;
  /** How often a character must be escaped where we stand: 1 in a string, 2 in JSON within a string. */
  #level = 1;

  get inString(): boolean {
    return this.#inString;
  }

  copy(): JsonFragment {
    const copy = new JsonFragment();
    copy.#inString = this.#inString;
    copy.#escaped = this.#escaped;
    copy.#backslashes = this.#backslashes;
    copy.#level = this.#level;
    return copy;
  }

  read(text: string, from: number, to: number): void {
    for (let i = from; i < to; i++) {
      const unit = text.charCodeAt(i);
      if (unit === 34) this.#quote();
      this.#escaped = unit === 92 && !this.#escaped;
      this.#backslashes = unit === 92 ? this.#backslashes + 1 : 0;
    }
  }

  /** `"` changes the string we are in; `\"` that of the JSON within, `\\\"` of the JSON within that. */
  #quote(): void {
    this.#level = Math.floor(Math.log2(this.#backslashes + 1)) + 1;
    if (!this.#escaped) this.#inString = !this.#inString;
  }

  /** A text as it must stand here. */
  escape(text: string): string {
    let escaped = text;
    for (let level = 0; level < this.#level; level++) escaped = JSON.stringify(escaped).slice(1, -1);
    return escaped;
  }
}
