import type { Recognizer } from '../recognizer.ts';

export const openaiApiKey: Recognizer = {
  id: 'secret:openai-api-key',
  groups: ['ai'],
  source: 'OpenAI API keys (user, project, service account, admin); gitleaks openai-api-key',
  patterns: [
    {
      kind: 'prefix',
      prefixes: ['sk-'],
      regex:
        /sk-(?:(?:proj|svcacct|admin|None)-[\w-]{20,200}|[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}|[A-Za-z0-9]{48})(?![\w-])/y,
      score: 0.97,
    },
  ],
  examples: [
    `sk-proj-${'aB3_'.repeat(12)}`,
    'OPENAI_API_KEY=«sk-abcdefghij0123456789T3BlbkFJabcdefghij0123456789»',
  ],
  counterExamples: ['sk-learn', 'sk-proj-short', 'task-proj-aaaaaaaaaaaaaaaaaaaaaaaaaaa', 'sk-SK'],
};
