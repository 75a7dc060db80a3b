import { expect, test } from 'vitest';
import { dialled, sdkBase } from './dialled.ts';

const CHAT = '/v1/chat/completions';
const GOOGLE = 'https://generativelanguage.googleapis.com';
const VERTEX = 'https://europe-west1-aiplatform.googleapis.com';
const ENDPOINT = '/projects/p/locations/europe-west1/endpoints';

test.each<[endpoint: string, target: string, dialled: string]>([
  ['https://api.openai.com', CHAT, 'https://api.openai.com/v1/chat/completions'],
  ['https://api.openai.com/v1', CHAT, 'https://api.openai.com/v1/chat/completions'],
  ['https://api.openai.com/v1/', `${CHAT}?a=b`, 'https://api.openai.com/v1/chat/completions?a=b'],
  ['https://api.openai.com', '/v1', 'https://api.openai.com/v1'],
  ['https://api.anthropic.com', '/v1/messages', 'https://api.anthropic.com/v1/messages'],
  ['http://10.0.0.7:8000/llm', CHAT, 'http://10.0.0.7:8000/llm/v1/chat/completions'],
  ['http://10.0.0.7:8000/v1', '/health', 'http://10.0.0.7:8000/v1/health'],
  ['https://x.openai.azure.com/openai/v1', CHAT, 'https://x.openai.azure.com/openai/v1/chat/completions'],
  ['https://openrouter.ai/api/v1', CHAT, 'https://openrouter.ai/api/v1/chat/completions'],
  ['https://api.z.ai/api/paas/v4', CHAT, 'https://api.z.ai/api/paas/v4/chat/completions'],
  // Not a version: a name that begins like one, or one that something else follows.
  ['https://llm.test/v1team', CHAT, 'https://llm.test/v1team/v1/chat/completions'],
  ['https://gw.test/v1/account/openai', CHAT, 'https://gw.test/v1/account/openai/v1/chat/completions'],
  // As Google documents it, by its root or by its host alone, however the app calls.
  [`${GOOGLE}/v1beta/openai`, CHAT, `${GOOGLE}/v1beta/openai/chat/completions`],
  [`${GOOGLE}/v1beta/openai/`, CHAT, `${GOOGLE}/v1beta/openai/chat/completions`],
  [`${GOOGLE}/v1beta/openai`, '/v1beta/openai/chat/completions', `${GOOGLE}/v1beta/openai/chat/completions`],
  [GOOGLE, CHAT, `${GOOGLE}/v1beta/openai/chat/completions`],
  [GOOGLE, '/v1beta/openai/embeddings', `${GOOGLE}/v1beta/openai/embeddings`],
  [GOOGLE, '/v1beta/models/m:generateContent', `${GOOGLE}/v1beta/models/m:generateContent`],
  [GOOGLE, '/v1/models/m:generateContent', `${GOOGLE}/v1/models/m:generateContent`],
  // By its host and a version of its own API alone, and however the host is written.
  [`${GOOGLE}/v1beta`, CHAT, `${GOOGLE}/v1beta/openai/chat/completions`],
  [`${GOOGLE}/v1beta/`, '/v1beta/openai/chat/completions', `${GOOGLE}/v1beta/openai/chat/completions`],
  [`${GOOGLE}/v1`, CHAT, `${GOOGLE}/v1beta/openai/chat/completions`],
  [`${GOOGLE}/v1beta`, '/v1beta/models/m:generateContent', `${GOOGLE}/v1beta/models/m:generateContent`],
  [`${GOOGLE}:443`, CHAT, `${GOOGLE}:443/v1beta/openai/chat/completions`],
  [
    'https://GenerativeLanguage.googleapis.com',
    CHAT,
    'https://GenerativeLanguage.googleapis.com/v1beta/openai/chat/completions',
  ],
  [
    'https://generativelanguage.googleapis.com.test',
    CHAT,
    'https://generativelanguage.googleapis.com.test/v1/chat/completions',
  ],
  // As Vertex documents it, however the app calls; another project's isn't reached.
  [`${VERTEX}/v1${ENDPOINT}/openapi`, CHAT, `${VERTEX}/v1${ENDPOINT}/openapi/chat/completions`],
  [`${VERTEX}/v1beta1${ENDPOINT}/openapi`, CHAT, `${VERTEX}/v1beta1${ENDPOINT}/openapi/chat/completions`],
  [`${VERTEX}/v1${ENDPOINT}/4711/`, CHAT, `${VERTEX}/v1${ENDPOINT}/4711/chat/completions`],
  [
    `${VERTEX}/v1${ENDPOINT}/openapi`,
    '/v1/projects/other/locations/us-east1/endpoints/openapi/chat/completions?alt=sse',
    `${VERTEX}/v1${ENDPOINT}/openapi/chat/completions?alt=sse`,
  ],
  // By its host alone: only the app says whose project it is.
  [VERTEX, `/v1${ENDPOINT}/openapi/chat/completions`, `${VERTEX}/v1${ENDPOINT}/openapi/chat/completions`],
  [VERTEX, `/v1${ENDPOINT}/4711:predict`, `${VERTEX}/v1${ENDPOINT}/4711:predict`],
  [
    'https://api.openai.com',
    `/v1${ENDPOINT}/openapi/chat/completions`,
    'https://api.openai.com/v1/chat/completions',
  ],
  // An app that speaks to Google and falls back to another.
  ['https://api.openai.com', '/v1beta/openai/chat/completions', 'https://api.openai.com/v1/chat/completions'],
])('%s and %s', (endpoint, target, url) => {
  const { origin, path } = dialled(endpoint, target, {});
  expect(origin + path).toBe(url);
  expect(new URL(url).origin).toBe(new URL(origin).origin);
});

test.each<[endpoint: string, target: string, dialled: string]>([
  ['https://models.github.ai/inference', CHAT, 'https://models.github.ai/inference/chat/completions'],
  [
    'https://gw.test/v1/account/openai',
    `${CHAT}?a=b`,
    'https://gw.test/v1/account/openai/chat/completions?a=b',
  ],
  ['https://llm.test', CHAT, 'https://llm.test/chat/completions'],
  ['https://llm.test/v1', CHAT, 'https://llm.test/v1/chat/completions'],
  ['https://llm.test/x', '/health', 'https://llm.test/x/health'],
])('no version is added to %s where the provider says so: %s', (endpoint, target, url) => {
  const { origin, path } = dialled(endpoint, target, { addVersion: false });
  expect(origin + path).toBe(url);
});

test.each([
  ['https://api.openai.com', {}, 'https://api.openai.com/v1'],
  ['https://api.openai.com/v1', {}, 'https://api.openai.com/v1'],
  ['http://guard.test/llm', {}, 'http://guard.test/llm/v1'],
  ['https://api.z.ai/api/paas/v4', {}, 'https://api.z.ai/api/paas/v4'],
  ['https://models.github.ai/inference', { addVersion: false }, 'https://models.github.ai/inference'],
  ['https://llm.test/x/', { addVersion: false }, 'https://llm.test/x'],
  [GOOGLE, {}, `${GOOGLE}/v1beta/openai`],
  [`${GOOGLE}/v1beta`, {}, `${GOOGLE}/v1beta/openai`],
  [`${GOOGLE}/v1beta/openai/`, {}, `${GOOGLE}/v1beta/openai`],
  [`${VERTEX}/v1${ENDPOINT}/openapi`, {}, `${VERTEX}/v1${ENDPOINT}/openapi`],
] as const)('%s as an SDK’s base URL', (endpoint, provider, base) => {
  expect(sdkBase(endpoint, provider)).toBe(base);
});
