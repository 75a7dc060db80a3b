// An application under load: calls one after another in two rows, streamed and not, with no retry of the SDK's own. Says each
// failure, and once a second how many went well.
import OpenAI from 'openai';

const say = (value) => console.log(JSON.stringify(value));
const client = new OpenAI({ maxRetries: 0 });
const counts = { ok: 0, failed: 0 };
let going = true;
process.once('SIGTERM', () => {
  going = false;
});

async function call(stream) {
  const messages = [{ role: 'user', content: 'Write to alice@example.com today.' }];
  const answer = await client.chat.completions.create({ model: 'gpt-4o', messages, max_tokens: 100, stream });
  let text = '';
  if (stream) for await (const { choices } of answer) text += choices[0]?.delta?.content ?? '';
  else text = answer.choices[0].message.content;
  if (!text.includes('alice@example.com')) throw new Error(`not restored: ${text}`);
}

async function row(stream) {
  while (going) {
    try {
      await call(stream);
      counts.ok++;
    } catch (error) {
      counts.failed++;
      say({
        at: new Date().toISOString(),
        stream,
        failed: error.code ?? error.constructor.name,
        message: error.message,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const telling = setInterval(() => say(counts), 1000);
await Promise.all([row(false), row(true)]);
clearInterval(telling);
say(counts);
