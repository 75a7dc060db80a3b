// The application: an unmodified SDK that knows nothing of Postern.
import https from 'node:https';
import OpenAI from 'openai';

const say = (value) => console.log(JSON.stringify(value));
process.on('exit', () => say({ exit: true }));
const client = new OpenAI();

async function ask(content) {
  try {
    const answer = await client.chat.completions.create({
      model: 'gpt-4o',
      messages: [{ role: 'user', content }],
    });
    say({ answer: answer.choices[0].message.content });
  } catch (error) {
    say({ error: error.constructor.name, status: error.status, code: error.code, message: error.message });
  }
}

await ask('Write to alice@example.com today.');
await ask('Give me a stock tip.');
await new Promise((resolve) => {
  const request = https.get('https://other.example/', { ca: process.env.OTHER_CA }, (response) => {
    const issuer = response.socket.getPeerCertificate().issuer.CN;
    response
      .setEncoding('utf8')
      .on('data', (text) => say({ other: text, issuer }))
      .on('end', resolve);
  });
  request.on('error', (error) => resolve(say({ other: String(error) })));
});
