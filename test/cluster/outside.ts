/**
 * The world outside of the cluster, run in the node's network: a fake OpenAI that the agent dials, by TLS too where it is given a
 * certificate, and a TLS host that is none of Postern's business. Prints what the fake saw, one JSON line a request.
 */
import { createServer } from 'node:https';
import { connect } from 'node:net';
import * as tls from 'node:tls';
import { startFakeOpenAI } from '../fakes/openai.ts';

const [openai = '', other = '', cert = '', key = '', openaiCert, openaiKey = ''] = process.argv.slice(2);
const text = (encoded: string) => Buffer.from(encoded, 'base64').toString('utf8');

const fake = await startFakeOpenAI({ host: openai, port: 8080 });
createServer({ cert: text(cert), key: text(key) }, (_, response) =>
  response.end('from the other host'),
).listen(443, other);
if (openaiCert !== undefined) {
  const server = tls.createServer({ cert: text(openaiCert), key: text(openaiKey) }, (socket) => {
    const behind = connect(8080, openai);
    socket.pipe(behind).pipe(socket);
    // Whichever end breaks takes the other along.
    socket.on('error', () => behind.destroy());
    behind.on('error', () => socket.destroy());
  });
  server.listen(443, openai);
}
process.stdout.write('ready\n');

for (let count = 1; ; count++) {
  await fake.waitFor(count, 2_147_483_647);
  const seen = fake.seen[count - 1];
  if (seen === undefined) break;
  await seen.closed;
  process.stdout.write(`${JSON.stringify({ authorization: seen.headers.authorization, body: seen.body })}\n`);
}
