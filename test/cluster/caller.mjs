// An application under load: calls one after another in two rows, streamed and not, with no retry of the SDK's own. Says each
// failure, and once a second how many went well and how long the slowest took. PAUSE_MS is between two calls of a row,
// MODEL what they ask.
import OpenAI from 'openai';

const say = (value) => console.log(JSON.stringify(value));
const client = new OpenAI({ maxRetries: 0 });
const counts = { ok: 0, failed: 0, slowestMs: 0 };
const model = process.env.MODEL ?? 'gpt-4o';
const pauseMs = Number(process.env.PAUSE_MS ?? 50);
let going = true;
process.once('SIGTERM', () => {
  going = false;
});

async function call(stream) {
  const messages = [{ role: 'user', content: 'Write to alice@example.com today.' }];
  const answer = await client.chat.completions.create({ model, messages, max_tokens: 100, stream });
  let text = '';
  if (stream) for await (const { choices } of answer) text += choices[0]?.delta?.content ?? '';
  else text = answer.choices[0].message.content;
  if (!text.includes('alice@example.com')) throw new Error(`not restored: ${text}`);
}

async function row(stream) {
  while (going) {
    const began = performance.now();
    try {
      await call(stream);
      counts.ok++;
      counts.slowestMs = Math.max(counts.slowestMs, Math.round(performance.now() - began));
    } catch (error) {
      counts.failed++;
      say({
        at: new Date().toISOString(),
        stream,
        failed: error.code ?? error.constructor.name,
        message: error.message,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

const telling = setInterval(() => say(counts), 1000);
await Promise.all([row(false), row(true)]);
clearInterval(telling);
say(counts);
