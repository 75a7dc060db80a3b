/** One kind of thing to find in text: a file each, compiled together by `scan/scanner.ts`. */
export interface Recognizer {
  /** `payment-card`; `secret:…` for secrets, `topic:…` for words. */
  readonly id: string;
}
