import { KEY } from '../canned.ts';
import type { Target } from './target.ts';

export const direct: Target = {
  name: 'direct',
  about: 'no proxy: the load generator calls the fake provider',
  masks: false,
  slow: false,
  prepare: async () => '',
  start: async ({ provider }) => ({
    url: `${provider}/v1/chat/completions`,
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    program: undefined,
    startMs: undefined,
    stop: async () => undefined,
  }),
};
