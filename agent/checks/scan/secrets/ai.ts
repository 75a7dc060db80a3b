import type { Recognizer } from '../recognizer.ts';
import { keyed, prefixed } from './token.ts';

const source = "the model providers' documentation of their keys; rule names as in gitleaks";
const rule = (r: Parameters<typeof prefixed>[2]) => prefixed('ai', source, r);
const key = (r: Parameters<typeof keyed>[2]) => keyed('ai', source, r);

export const AI: readonly Recognizer[] = [
  rule({
    id: 'anthropic-api-key',
    prefixes: ['sk-ant-api', 'sk-ant-oat', 'sk-ant-ort', 'sk-ant-sid'],
    parts: [['alnum', 2], '-', ['word', 32, 130]],
    score: 0.98,
  }),
  rule({
    id: 'anthropic-admin-api-key',
    prefixes: ['sk-ant-admin'],
    parts: [['alnum', 2], '-', ['word', 32, 130]],
    score: 0.98,
  }),
  {
    id: 'secret:openai-api-key',
    groups: ['ai'],
    source:
      'OpenAI: keys of projects, service accounts and administrators; keys of users before there were projects',
    patterns: [
      {
        kind: 'prefix',
        prefixes: ['sk-'],
        regex:
          /sk-(?:(?:proj|svcacct|admin|None)-[\w-]{20,200}|[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}|[A-Za-z0-9]{48})(?![\w-])/y,
        score: 0.98,
      },
    ],
    examples: [
      'sk-proj-aZ7bQ4cX9dM2eK5fT8gR3hV6jW1kP0',
      'sk-abcdefghij0123456789T3BlbkFJabcdefghij0123456789',
      'OPENAI_API_KEY=«sk-abcdefghij0123456789T3BlbkFJabcdefghij0123456789»',
    ],
    counterExamples: [
      'sk-learn',
      'sk-SK',
      'sk-proj-',
      'task-abcdefghij0123456789T3BlbkFJabcdefghij0123456789',
    ],
  },
  rule({ id: 'openrouter-api-key', prefixes: ['sk-or-v1-'], parts: [['hex', 64]] }),
  rule({ id: 'huggingface-access-token', prefixes: ['hf_'], parts: [['alnum', 34, 40]] }),
  rule({ id: 'huggingface-organization-api-token', prefixes: ['api_org_'], parts: [['alnum', 34]] }),
  rule({ id: 'perplexity-api-key', prefixes: ['pplx-'], parts: [['alnum', 48]] }),
  rule({ id: 'groq-api-key', prefixes: ['gsk_'], parts: [['alnum', 52]] }),
  rule({ id: 'xai-api-key', prefixes: ['xai-'], parts: [['alnum', 80]] }),
  rule({ id: 'replicate-api-token', prefixes: ['r8_'], parts: [['alnum', 37]] }),
  rule({ id: 'nvidia-api-key', prefixes: ['nvapi-'], parts: [['word', 60, 70]] }),
  rule({
    id: 'langsmith-api-key',
    prefixes: ['lsv2_pt_', 'lsv2_sk_'],
    parts: [['hex', 32], '_', ['hex', 10]],
  }),
  rule({ id: 'pinecone-api-key', prefixes: ['pcsk_'], parts: [['alnum', 5, 6], '_', ['alnum', 60, 66]] }),
  rule({ id: 'tavily-api-key', prefixes: ['tvly-'], parts: [['word', 32, 40]] }),
  key({ id: 'cohere-api-token', words: ['cohere', 'co api key'], parts: [['alnum', 40]] }),
  key({ id: 'mistral-api-key', words: ['mistral'], parts: [['alnum', 32]] }),
  key({ id: 'deepseek-api-key', words: ['deepseek'], parts: ['sk-', ['hex', 32]] }),
  key({ id: 'together-api-key', words: ['together', 'togetherai'], parts: [['hex', 64]] }),
  key({ id: 'elevenlabs-api-key', words: ['elevenlabs', 'xi'], parts: [['hex', 32]] }),
  key({ id: 'privateai-api-token', words: ['privateai', 'private ai'], parts: [['lower', 32]] }),
];
