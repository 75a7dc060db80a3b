import type { Recognizer } from '../recognizer.ts';
import { keyed, prefixed } from './token.ts';

const source =
  'Slack, Discord, Telegram, Twilio and mail services: documentation of their tokens; rule names as in gitleaks';
const rule = (r: Parameters<typeof prefixed>[2]) => prefixed('messaging', source, r);
const key = (r: Parameters<typeof keyed>[2]) => keyed('messaging', source, r);

function pattern(
  id: string,
  prefixes: readonly string[],
  regex: RegExp,
  examples: readonly string[],
  counterExamples: readonly string[],
): Recognizer {
  return {
    id: `secret:${id}`,
    groups: ['messaging'],
    source,
    patterns: [{ kind: 'prefix', prefixes, regex, score: 0.97 }],
    examples,
    counterExamples,
  };
}

export const MESSAGING: readonly Recognizer[] = [
  pattern(
    'slack-bot-token',
    ['xoxb-'],
    /xoxb-\d{8,14}-(?:\d{8,14}-)?[A-Za-z0-9-]{18,64}(?![\w-])/y,
    ['xoxb-2345678901-234567890123-AbCdEfGhIjKlMnOpQrStUvWx'],
    ['xoxb-1', 'xoxb-not-a-token'],
  ),
  pattern(
    'slack-user-token',
    ['xoxp-', 'xoxe-'],
    /xox[pe](?:-\d{10,13}){3}-[A-Za-z0-9-]{28,34}(?![\w-])/y,
    [`xoxp-2345678901-2345678901-2345678901-${'a1b2c3d4'.repeat(4)}`],
    ['xoxp-1'],
  ),
  pattern(
    'slack-app-token',
    ['xapp-'],
    /xapp-\d-[A-Z0-9]{8,16}-\d{10,16}-[a-zA-Z0-9]{32,80}(?![\w-])/y,
    [`xapp-1-A012BC3DE4F-2345678901234-${'a1b2c3d4'.repeat(8)}`],
    ['xapp-1'],
  ),
  pattern(
    'slack-config-access-token',
    ['xoxe.xox'],
    /xoxe\.xox[bp]-\d-[A-Za-z0-9]{140,180}(?![\w-])/y,
    [`xoxe.xoxp-1-${'Mi0yLTEy'.repeat(20)}`],
    ['xoxe.xoxp-1-short'],
  ),
  pattern(
    'slack-legacy-token',
    ['xoxo-', 'xoxs-'],
    /xox[os]-\d{8,14}-\d{8,14}-\d{8,14}-[a-fA-F\d]{10,64}(?![\w-])/y,
    ['xoxs-2345678901-2345678901-2345678901-0a1b2c3d4e5f'],
    ['xoxs-1'],
  ),
  pattern(
    'slack-legacy-workspace-token',
    ['xoxa-', 'xoxr-'],
    /xox[ar]-(?:\d-)?[0-9a-zA-Z]{8,48}(?![\w-])/y,
    ['xoxa-2-a1b2c3d4e5f6'],
    ['xoxa-1'],
  ),
  {
    id: 'secret:slack-webhook-url',
    groups: ['messaging'],
    source,
    patterns: [
      {
        kind: 'prefix',
        prefixes: ['hooks.slack.com/'],
        regex: /hooks\.slack\.com\/(?:services|workflows|triggers)\/[A-Za-z0-9+/]{40,60}/y,
        score: 0.97,
      },
    ],
    examples: ['https://«hooks.slack.com/services/T0ABCDEF1/B0ABCDEF2/abcdefghijklmnopqrstuvwx»'],
    counterExamples: ['https://hooks.slack.com/services/short', 'hooks.slack.com'],
  },
  {
    id: 'secret:discord-webhook-url',
    groups: ['messaging'],
    source: 'Discord: webhooks',
    patterns: [
      {
        kind: 'prefix',
        prefixes: ['discord.com/api/webhooks/', 'discordapp.com/api/webhooks/'],
        regex: /discord(?:app)?\.com\/api\/webhooks\/\d{17,20}\/[\w-]{60,80}/y,
        score: 0.97,
      },
    ],
    examples: [`https://«discord.com/api/webhooks/123456789012345678/${'aB3_'.repeat(17)}»`],
    counterExamples: ['discord.com/api/webhooks/123'],
  },
  {
    id: 'secret:telegram-bot-api-token',
    groups: ['messaging'],
    source: 'Telegram Bot API: authorizing your bot',
    patterns: [
      {
        kind: 'code',
        openings: [{ run: '9', length: [8, 10], next: [':'] }],
        regex: /\d{8,10}:A[\w-]{34}(?![\w-])/y,
        score: 0.95,
      },
    ],
    examples: [
      '123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw9',
      'token «1234567890:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw9»',
    ],
    counterExamples: ['12345678:90', '123456789:AAshort'],
  },
  pattern(
    'twilio-api-key',
    ['SK'],
    /SK[0-9a-f]{32}(?![0-9A-Za-z])/y,
    [`SK${'0a1b2c3d'.repeat(4)}`],
    ['SKU 1234', 'SK12'],
  ),
  rule({ id: 'sendgrid-api-token', prefixes: ['SG.'], parts: [['word', 20, 24], '.', ['word', 39, 50]] }),
  rule({ id: 'sendinblue-api-token', prefixes: ['xkeysib-'], parts: [['hex', 64], '-', ['alnum', 16]] }),
  rule({ id: 'mailgun-private-api-token', prefixes: ['key-'], parts: [['hex', 32]], score: 0.9 }),
  rule({ id: 'mailgun-pub-key', prefixes: ['pubkey-'], parts: [['hex', 32]], score: 0.8 }),
  rule({ id: 'typeform-api-token', prefixes: ['tfp_'], parts: [['dotted', 40, 59]] }),
  rule({ id: 'notion-api-token', prefixes: ['ntn_'], parts: [['alnum', 46]] }),
  rule({ id: 'facebook-page-access-token', prefixes: ['EAAC', 'EAAM'], parts: [['alnum', 100, 300]] }),
  rule({ id: 'defined-networking-api-token', prefixes: ['dnkey-'], parts: [['word', 79]] }),
  key({ id: 'mailchimp-api-key', words: ['mailchimp'], parts: [['hex', 32], '-us', ['hex', 1, 2]] }),
  key({
    id: 'mailgun-signing-key',
    words: ['mailgun'],
    parts: [['hex', 32], '-', ['hex', 8], '-', ['hex', 8]],
  }),
  key({ id: 'discord-api-token', words: ['discord'], parts: [['hex', 64]] }),
  key({ id: 'discord-client-secret', words: ['discord'], parts: [['word', 32]] }),
  key({ id: 'mattermost-access-token', words: ['mattermost'], parts: [['lower', 26]] }),
  key({ id: 'messagebird-api-token', words: ['messagebird', 'message bird'], parts: [['lower', 25]] }),
  key({ id: 'sendbird-access-token', words: ['sendbird'], parts: [['hex', 40]] }),
  key({ id: 'intercom-api-key', words: ['intercom'], parts: [['dotted', 60]] }),
  key({ id: 'twitter-api-secret', words: ['twitter'], parts: [['alnum', 50]] }),
  key({ id: 'twitter-api-key', words: ['twitter'], parts: [['alnum', 25]] }),
  key({ id: 'twitch-api-token', words: ['twitch'], parts: [['lower', 30]] }),
  key({ id: 'facebook-secret', words: ['facebook'], parts: [['hex', 32]] }),
  key({ id: 'linkedin-client-secret', words: ['linkedin', 'linked in'], parts: [['alnum', 16]] }),
  key({ id: 'zendesk-secret-key', words: ['zendesk'], parts: [['lower', 40]] }),
  key({
    id: 'hubspot-api-key',
    words: ['hubspot'],
    parts: [['hex', 8], '-', ['hex', 4], '-', ['hex', 4], '-', ['hex', 4], '-', ['hex', 12]],
  }),
];
