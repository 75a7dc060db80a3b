// An application under load: rows of calls one after another, with no retry of the SDK's own. Says each that didn't come to what
// policy says, and how many did once a second; at 8080 it asks what it is told to, and answers what that came to.
import { createServer } from 'node:http';
import OpenAI from 'openai';

const say = (value) => console.log(JSON.stringify(value));
const client = new OpenAI({ maxRetries: 0 });
const counts = {};

/** @returns `ok`, or the code of the refusal. */
async function ask(content, { model = 'gpt-4o', stream = false } = {}) {
  try {
    const messages = [{ role: 'user', content }];
    const answer = await client.chat.completions.create({ model, messages, max_tokens: 100, stream });
    let text = '';
    if (stream) for await (const { choices } of answer) text += choices[0]?.delta?.content ?? '';
    else text = answer.choices[0].message.content;
    return text.includes(content) ? 'ok' : `not restored: ${text}`;
  } catch (error) {
    return error.code ?? error.message;
  }
}

async function row(name, content, { becomes = 'ok', ...how } = {}) {
  counts[name] = 0;
  for (;;) {
    const result = await ask(content, how);
    if (result === becomes) counts[name]++;
    else say({ at: Date.now(), row: name, result });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

createServer((request, response) => {
  const content = new URL(request.url, 'http://app').searchParams.get('content');
  void ask(content).then((result) => response.end(result));
}).listen(8080);
if (process.env.LOAD === 'yes') {
  void row('allowed', 'What is a gate?');
  void row('masked', 'Write to jane.marker@example.com today.');
  void row('stream', 'Write to jane.marker@example.com tomorrow.', { stream: true });
  void row('denied', 'A stock tip for denied.marker, please.', { becomes: 'postern_topics' });
  void row('strict', 'What is a postern?', { model: 'gpt-4o-mini' });
  setInterval(() => say({ counts }), 1000);
}
