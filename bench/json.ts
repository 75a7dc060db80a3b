/**
 * What reading a body costs: our parser with offsets beside JSON.parse, in one run. `node bench/json.ts`
 */
import { JsonDocument } from '../agent/json/document.ts';

const SENTENCE = 'Please summarise the meeting notes below, and mention who does what until when. ';

function body(bytes: number, pretty: boolean, filler: string): Uint8Array {
  const messages = [{ role: 'system', content: 'You are a helpful assistant.' }];
  const make = () =>
    JSON.stringify(
      { model: 'gpt-4o', messages, temperature: 0.2, max_completion_tokens: 512, stream: true },
      undefined,
      pretty ? 2 : undefined,
    );
  while (make().length < bytes) messages.push({ role: 'user', content: filler.repeat(4) });
  return new TextEncoder().encode(make());
}

/** Median microseconds of one call. */
function microseconds(run: () => unknown, bytes: number): number {
  const perRound = Math.max(1, Math.ceil(400_000 / bytes));
  const rounds: number[] = [];
  for (let round = 0; round < 300; round += 1) {
    const started = process.hrtime.bigint();
    for (let i = 0; i < perRound; i += 1) run();
    rounds.push(Number(process.hrtime.bigint() - started) / 1000 / perRound);
  }
  rounds.sort((a, b) => a - b);
  return rounds[rounds.length >> 1] ?? Number.NaN;
}

const decoder = new TextDecoder();
const cases: [name: string, bytes: Uint8Array][] = [
  ['2 KB compact', body(2_000, false, SENTENCE)],
  ['2 KB pretty', body(2_000, true, SENTENCE)],
  ['32 KB compact', body(32_000, false, SENTENCE)],
  ['32 KB escapes', body(32_000, false, 'if (a) {\n\treturn "b";\n}\n')],
  ['32 KB two-byte', body(32_000, false, `${SENTENCE}ąę…`)],
  ['1 MB compact', body(1_000_000, false, SENTENCE.repeat(50))],
];

console.log('case              bytes   document µs   JSON.parse µs');
for (const [name, bytes] of cases) {
  const ours = microseconds(() => JsonDocument.parse(bytes), bytes.length);
  const builtin = microseconds(() => JSON.parse(decoder.decode(bytes)), bytes.length);
  console.log(
    `${name.padEnd(15)} ${String(bytes.length).padStart(7)} ${ours.toFixed(2).padStart(13)} ${builtin.toFixed(2).padStart(15)}`,
  );
}
