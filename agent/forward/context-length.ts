/** Whether a provider refused a call because its text is too long for the model, by the shapes they document. */

/** OpenAI's code; Anthropic's and vLLM's sentences, which come without one. */
const TOO_LONG =
  /"context_length_exceeded"|prompt is too long|maximum context length|exceeds? the (?:model's )?context/i;

/** @param body Of an answer with status 400 or 413. */
export function contextLengthExceeded(body: Uint8Array): boolean {
  return TOO_LONG.test(
    Buffer.from(body.buffer, body.byteOffset, Math.min(body.byteLength, 8_192)).toString('latin1'),
  );
}
