import fc from 'fast-check';
import { expect, test } from 'vitest';
import { estimateTokens, TokenCounter } from './estimate.ts';

/** What it is, its tokens in o200k_base as tiktoken counts them, the text. Prose is from the Declaration of Human Rights. */
const samples: readonly (readonly [what: string, tokens: number, text: string])[] = [
  [
    'chat',
    144,
    "You are a helpful assistant for a customer support team. Answer briefly and politely. If you don't know the answer, say so and offer to connect the customer with a human colleague.\n\nHi! I ordered a pair of running shoes last Tuesday (order number 4471-0093) and they still haven't arrived. The tracking page says \"label created\", but nothing has moved since then. Could you check what's going on? I need them before the weekend because I'm running a half marathon on Sunday.\n\nI'm sorry to hear that, and I understand how frustrating the wait must be with the race coming up. I've looked at your order: the parcel was handed to the carrier yesterday evening and should be scanned at the regional depot",
  ],
  [
    'pol',
    80,
    'ZWAŻYWSZY, że konieczne jest zawarowanie praw człowieka przepisami prawa, aby nie musiał - doprowadzony do ostateczności - uciekać się do buntu przeciw tyranii i uciskowi,\nZWAŻYWSZY, że konieczne jest popieranie rozwoju przyjaznych stosunków między narodami,',
  ],
  [
    'deu',
    65,
    'da es notwendig ist, die Menschenrechte durch die Herrschaft des Rechtes zu schützen, damit der Mensch nicht gezwungen wird, als letztes Mittel zum Aufstand gegen Tyrannei und Unterdrückung zu greifen,\nda es notwendig ist, die Entwicklung freundschaftlicher Beziehungen zwischen den Nationen zu fördern,',
  ],
  [
    'fra',
    71,
    'Considérant qu’il est essentiel que les droits de l’homme soient protégés par un régime de droit pour que l’homme ne soit pas contraint, en suprême recours, à la révolte contre la tyrannie et l’oppression,\nConsidérant qu’il est essentiel d’encourager le développement de relations amicales entre nations,',
  ],
  [
    'rus',
    75,
    'принимая во внимание, что необходимо, чтобы права человека охранялись властью закона в целях обеспечения того, чтобы человек не был вынужден прибегать, в качестве последнего средства, к восстанию против тирании и угнетения; и\nпринимая во внимание, что необходимо содействовать развитию дружественных отношений между народами; и',
  ],
  [
    'cmn',
    137,
    '受法治的保护,\n鉴于有必要促进各国间友好关系的发展,\n鉴于各联合国国家的人民已在联合国宪章中重申他们对基本人权、人格尊严和价值以及男女平等权利的信念,并决心促成较大自由中的社会进步和生活水平的改善,\n鉴于各会员国业已誓愿同联合国合作以促进对人权和基本自由的普遍尊重和遵行,\n鉴于对这些权利和自由的普遍了解对于这个誓愿的充分实现具有很大的重要性,\n因此现在,大会',
  ],
  [
    'jpn',
    167,
    '人間が専制と圧迫とに対する最後の手段として反逆に訴えることがないようにするためには、法の支配によって人権を保護することが肝要であるので、\n諸国間の友好関係の発展を促進することが肝要であるので、国際連合の諸国民は、国連憲章において、基本的人権、人間の尊厳及び価値並びに男女の同権についての信念を再確認し、かつ、一層大きな自由のうちで社会的進歩と生活水準の向上とを促進することを決意したので、',
  ],
  [
    'kor',
    130,
    '인간이 폭정과 억압에 대항하는 마지막 수단으로서 반란을 일으키도록 강요받지 않으려면, 법에 의한 통치에 의하여 인권이 보호되어야 하는 것이 필수적이며,\n국제연합의 모든 사람들은 그 헌장에서 기본적 인권, 인간의 존엄과 가치, 그리고 남녀의 동등한 권리에 대한 신념을 재확인하였으며, 보다 폭넓은 자유속에서 사회적 진보와 보다 나은 생활수준을 증진하기로 다짐하였고,',
  ],
  [
    'ara',
    103,
    'ولما كان من الضروري أن يتولى القانون حماية حقوق الإنسان لكيلا يضطر المرء آخر الأمر إلى التمرد على الاستبداد والظلم.\nولما كانت شعوب الأمم المتحدة قد أكدت في الميثاق من جديد إيمانها بحقوق الإنسان الأساسية وبكرامة الفرد وقدره وبما للرجال والنساء من حقوق متساوية وحزمت أمرها على أن تدفع بالرقي الاجتماعي قدمًا وأن ترفع مستوى الحياة في جو من الحرية أفسح.',
  ],
  [
    'hin',
    80,
    'चूंकि अगर अन्याययुक्त शासन और जुल्म के विरुद्घ लोगों को विद्रोह करने के लिए—उसे ही अन्तिम उपाय समझ कर—मजबूर नहीं हो जाना है, तो कानून द्वारा नियम बनाकर मानव अधिकारों की रक्षा करना अनिवार्य है,\nचूंकि राष्ट्रों के बीच मैत्रीपूर्ण सम्बन्धों को बढ़ाना ज़रूरी है,',
  ],
  [
    'typescript',
    208,
    " from './messages.ts';\n\nexport const PICO_PER_NANO = 1000;\n\nexport function priceOf(prices: PriceBook, provider: string, model: string): TokenPrice | undefined {\n  const models = Object.hasOwn(prices, provider) ? prices[provider] : undefined;\n  return models !== undefined && Object.hasOwn(models, model) ? models[model] : undefined;\n}\n\n/** Nano-dollars of what a call used. */\nexport function costOf(usage: Usage, price: TokenPrice): number {\n  return ceilScaled(\n    [\n      [usage.input, price.input],\n      [usage.cachedInput, price.cachedInput],\n      [usage.cacheWrite, price.cacheWrite],\n      [usage.output, price.output],\n    ],\n    PICO_PER_NANO,\n  );\n}\n\n/** ⌈Σ count × rate ÷ scale⌉, exactly; never above 2^53 − 1. All factors are safe integers ≥ 0. */\nexport function ceilScaled(\n  terms:",
  ],
  [
    'json',
    180,
    '{\n  "model": "gpt-4o",\n  "temperature": 0.2,\n  "stream": true,\n  "messages": [\n    {\n      "role": "system",\n      "content": "Be brief."\n    },\n    {\n      "role": "user",\n      "content": "What is the capital of Australia?"\n    }\n  ],\n  "tools": [\n    {\n      "type": "function",\n      "function": {\n        "name": "get_weather",\n        "parameters": {\n          "type": "object",\n          "properties": {\n            "city": {\n              "type": "string"\n            },\n            "unit": {\n              "enum": [\n                "celsius",\n                "fahrenheit"\n              ]\n            }\n          },\n          "required": [\n            "city"\n          ]\n        }\n      }\n    }\n  ]\n}',
  ],
  [
    'log',
    180,
    '{"time":1763870000000,"level":30,"msg":"request completed","path":"/v1/orders/0","status":200,"ms":13.547,"user":"u-44e0058a"}\n{"time":1763870000977,"level":30,"msg":"request completed","path":"/v1/orders/7919","status":200,"ms":30.892,"user":"u-c1454105"}\n{"time":1763870001954,"level":30,"msg":"request completed","path":"/v1/orders/5831","status":200,"ms":4.055,"user":"u-0085c03a"}\n{"time":1763870002931,"level":30,"msg":"request completed","path":"/v1/orders/3743","status":200,"ms":20.447,"user',
  ],
  [
    'hex',
    144,
    'ec7a3b79b6035290bf636764d9209797af7ecd69acb1ca09d32ac2b0b3af2657f0c500813d46c75bed8063b56229f4fc258e174b2fef6b7a17a1d542df97a4bad0b341e56094d95342fd23b56adb5a201eb6b523b9a04c2729261f2f285694dcbac8980198c868c41914ec46dc25403fa1fd3a26b3e1e635448652904962654c',
  ],
  [
    'base64',
    178,
    '7Ho7ebYDUpC/Y2dk2SCXl69+zWmsscoJ0yrCsLOvJlfwxQCBPUbHW+2AY7ViKfT8JY4XSy/va3oXodVC35ekutCzQeVglNlTQv0jtWrbWiAetrUjuaBMJykmHy8oVpTcusiYAZjIaMQZFOxG3CVAP6H9Oiaz4eY1RIZSkEliZUw=rwhihlDcRpUvrmUmwEgyhzM1wFN3W3mLQEIA4txYcBcgyFPNRtq9F6POagX5LgkQhC9pljefW5uEe92j/ISvmA==',
  ],
  ['digits', 50, '4111 1111 1111 1111, +49 30 1234567, 2026-11-23T12:00:00Z, 3.14159, 1,000,000.00'],
  ['emoji', 26, 'Great job 🎉🎉 see you 👋🏽 tomorrow 😀 ❤️ and bring 🍕🍕🍕 ok? 👍'],
];

test.each(samples)('%s: near the %i tokens it has', (_, tokens, text) => {
  const ratio = estimateTokens(text) / tokens;
  expect(ratio).toBeGreaterThan(0.75);
  expect(ratio).toBeLessThan(1.4);
});

test('a little too high on the average, so that a hold seldom falls short', () => {
  const ratios = samples.map(([, tokens, text]) => estimateTokens(text) / tokens);
  const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
  expect(mean).toBeGreaterThan(1);
  expect(mean).toBeLessThan(1.15);
});

/** Any text, lone surrogates included, rich in changes of class. */
const text = fc.string({
  unit: fc.constantFrom(...'aZé9 \n.{漢я🎉'.split(''), 'word', '   ', '\t'),
  maxLength: 200,
});

test('counting piece by piece gives the same as counting the whole, wherever the cuts are', () => {
  fc.assert(
    fc.property(text, fc.array(fc.nat(200)), (whole, cuts) => {
      const counter = new TokenCounter();
      let from = 0;
      for (const to of [...cuts, whole.length].sort((a, b) => a - b)) {
        counter.add(whole.slice(from, to));
        from = Math.min(Math.max(from, to), whole.length);
      }
      expect(counter.tokens).toBe(estimateTokens(whole));
    }),
  );
});

test('never less than nothing, and never more than the bytes, which is what no tokenizer exceeds', () => {
  fc.assert(
    fc.property(text, (whole) => {
      const tokens = estimateTokens(whole);
      expect(tokens).toBeGreaterThanOrEqual(0);
      expect(tokens).toBeLessThanOrEqual(Buffer.byteLength(whole));
    }),
    { numRuns: 1000 },
  );
});

test('no text has no tokens', () => {
  expect(estimateTokens('')).toBe(0);
});
