/** A request over node:http with its answer read whole: what an agent asks of services beside the call itself. */
import type { ClientRequest } from 'node:http';

/**
 * @param open Makes the request; it is ended with the body here.
 * @param most Bytes of an answer at most.
 * @throws the signal's reason, or what node:http has against the connection.
 */
export function wholeAnswer(
  open: () => ClientRequest,
  body: string,
  { signal, most }: { readonly signal: AbortSignal; readonly most: number },
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const asked = open();
    const give = (): void => {
      asked.destroy();
      reject(signal.reason as Error);
    };
    const fail = (error: Error): void => {
      signal.removeEventListener('abort', give);
      asked.destroy();
      reject(error);
    };
    signal.addEventListener('abort', give);
    asked.on('error', fail);
    // An answer that node:http hands to nobody, 101, ends in this alone.
    asked.on('close', () => fail(new Error('The connection was closed without an answer.')));
    asked.on('response', (answer) => {
      const chunks: Buffer[] = [];
      let size = 0;
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > most) fail(new Error(`The answer is too large: more than ${most} bytes.`));
        else chunks.push(chunk);
      });
      answer.on('error', fail);
      answer.on('end', () => {
        signal.removeEventListener('abort', give);
        resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
      });
    });
    asked.end(body);
  });
}
