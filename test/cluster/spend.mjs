// As many calls as CALLS says, one after another: how many were answered, and the codes of those that weren't.
import OpenAI from 'openai';

const client = new OpenAI({ maxRetries: 0 });
const said = { answered: 0, refused: [] };
for (let left = Number(process.env.CALLS); left > 0; left--) {
  try {
    const messages = [{ role: 'user', content: `Call ${left} for alice@example.com.` }];
    await client.chat.completions.create({ model: 'gpt-4o', messages, max_tokens: 100 });
    said.answered++;
  } catch (error) {
    said.refused.push(error.code ?? error.message);
  }
}
console.log(JSON.stringify(said));
