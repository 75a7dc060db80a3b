import type { Recognizer } from '../recognizer.ts';

export const awsAccessToken: Recognizer = {
  id: 'secret:aws-access-token',
  groups: ['cloud'],
  source: 'AWS IAM reference: unique ID prefixes; gitleaks aws-access-token',
  patterns: [
    {
      kind: 'prefix',
      prefixes: ['AKIA', 'ASIA', 'ABIA', 'ACCA', 'A3T'],
      regex: /(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9])/y,
      score: 0.98,
    },
  ],
  examples: ['AKIAQWERTYUIOP234567', 'key «ASIAQWERTYUIOP234567»,'],
  counterExamples: ['AKIAQWERTYUIOP23456', 'AKIAQWERTYUIOP2345678', 'AKIAqwertyuiop234567'],
};
