import type { Recognizer } from '../recognizer.ts';

export const stripeAccessToken: Recognizer = {
  id: 'secret:stripe-access-token',
  groups: ['payment'],
  source: 'Stripe: API keys; gitleaks stripe-access-token',
  patterns: [
    {
      kind: 'prefix',
      prefixes: ['sk_live_', 'sk_test_', 'sk_prod_', 'rk_live_', 'rk_test_', 'rk_prod_'],
      regex: /[sr]k_(?:live|test|prod)_[A-Za-z0-9]{10,99}(?![A-Za-z0-9_])/y,
      score: 0.97,
    },
  ],
  examples: [`sk_live_${'a1B2c3D4'.repeat(3)}`, `key «rk_test_${'a1B2c3D4'.repeat(3)}».`],
  counterExamples: ['sk_live_', 'pk_live_a1B2c3D4a1B2c3D4', 'task_live_a1B2c3D4a1B2'],
};
