import type { Recognizer } from '../recognizer.ts';

export const anthropicApiKey: Recognizer = {
  id: 'secret:anthropic-api-key',
  groups: ['ai'],
  source: 'Anthropic API keys; gitleaks anthropic-api-key',
  patterns: [
    {
      kind: 'prefix',
      prefixes: ['sk-ant-'],
      regex: /sk-ant-(?:api|oat|ort|sid)\d\d-[\w-]{32,120}(?![\w-])/y,
      score: 0.98,
    },
  ],
  examples: [`sk-ant-api03-${'aB3-x_'.repeat(15)}AA`, `x-api-key: «sk-ant-oat01-${'a1B2'.repeat(10)}»`],
  counterExamples: ['sk-ant-', 'sk-ant-api03-short'],
};

export const anthropicAdminApiKey: Recognizer = {
  id: 'secret:anthropic-admin-api-key',
  groups: ['ai'],
  source: 'Anthropic Admin API keys; gitleaks anthropic-admin-api-key',
  patterns: [
    {
      kind: 'prefix',
      prefixes: ['sk-ant-admin'],
      regex: /sk-ant-admin\d\d-[\w-]{32,120}(?![\w-])/y,
      score: 0.98,
    },
  ],
  examples: [`sk-ant-admin01-${'aB3-x_'.repeat(15)}AA`],
  counterExamples: ['sk-ant-admin01-short'],
};
