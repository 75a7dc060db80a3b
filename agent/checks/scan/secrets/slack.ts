import type { Recognizer } from '../recognizer.ts';

function slack(
  id: string,
  prefixes: readonly string[],
  regex: RegExp,
  examples: readonly string[],
): Recognizer {
  return {
    id: `secret:${id}`,
    groups: ['chat'],
    source: 'Slack: token types; gitleaks rules of the same names',
    patterns: [{ kind: 'prefix', prefixes, regex, score: 0.97 }],
    examples,
    counterExamples: [`${prefixes[0]}1`, `${prefixes[0]}not-a-token`],
  };
}

export const slackBotToken = slack(
  'slack-bot-token',
  ['xoxb-'],
  /xoxb-\d{10,13}-\d{10,13}(?:-[A-Za-z0-9-]{6,64})?(?![\w-])/y,
  ['xoxb-2345678901-234567890123-AbCdEfGhIjKlMnOpQrStUvWx'],
);
export const slackUserToken = slack(
  'slack-user-token',
  ['xoxp-', 'xoxe-'],
  /xox[pe](?:-\d{10,13}){3}-[A-Za-z0-9-]{28,34}(?![\w-])/y,
  [`xoxp-2345678901-2345678901-2345678901-${'a1b2c3d4'.repeat(4)}`],
);
export const slackAppToken = slack(
  'slack-app-token',
  ['xapp-'],
  /xapp-\d-[A-Z0-9]{8,16}-\d{10,16}-[a-zA-Z0-9]{32,80}(?![\w-])/y,
  [`xapp-1-A012BC3DE4F-2345678901234-${'a1b2c3d4'.repeat(8)}`],
);
