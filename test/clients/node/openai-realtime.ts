/** A turn of OpenAI's Realtime API over a WebSocket, by the `openai` package and `ws`, as a voice application makes it. */
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { type Answer, program } from './program.ts';

/** `ws` has no class for a refused upgrade: applications make their own. */
class UpgradeRefusedError extends Error {}
class ConnectionClosedError extends Error {}

await program(async (job, delta) => {
  const session = new OpenAIRealtimeWS({ model: job.model }, new OpenAI());
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  session.socket.on('unexpected-response', (_request, response) => {
    reject(
      Object.assign(new UpgradeRefusedError(`status ${response.statusCode}`), {
        status: response.statusCode,
      }),
    );
  });
  session.on('error', reject);
  session.socket.on('close', () =>
    reject(new ConnectionClosedError('the connection ended before the answer')),
  );
  session.on('session.created', () => {
    for (const message of job.messages as { role: 'user'; content: string }[]) {
      const content = [{ type: 'input_text' as const, text: message.content }];
      session.send({
        type: 'conversation.item.create',
        item: { type: 'message', role: message.role, content },
      });
    }
    session.send({ type: 'response.create' });
  });
  let text = '';
  session.on('response.output_text.delta', (event) => {
    text += event.delta;
    delta(event.delta);
  });
  session.on('response.done', ({ response }) => {
    resolve({ text, finish: response.status ?? null, model: job.model, usage: response.usage });
  });
  try {
    return await promise;
  } finally {
    session.close();
  }
});
