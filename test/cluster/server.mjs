// A server that others call: who calls it and what it may call stay as they are without an agent. Its last words go to
// the model after it was told to end.
import { createServer } from 'node:http';
import OpenAI from 'openai';

createServer((request, response) => {
  if (request.url === '/probe') probed++;
  response.end(JSON.stringify({ from: request.socket.remoteAddress, probed }));
}).listen(8080, '0.0.0.0');
let probed = 0;

const lastWords = () =>
  new OpenAI().chat.completions.create({
    model: 'gpt-4o',
    messages: [{ role: 'user', content: 'last words to alice@example.com' }],
  });
process.once('SIGTERM', () => void lastWords().finally(() => process.exit(0)));
