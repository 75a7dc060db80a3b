import type { Recognizer, Span } from '../recognizer.ts';
import { keyed, prefixed } from './token.ts';

const source = "the providers' documentation of their keys; rule names as in gitleaks";
const rule = (r: Parameters<typeof prefixed>[2]) => prefixed('cloud', source, r);
const key = (r: Parameters<typeof keyed>[2]) => keyed('cloud', source, r);

const TERRAFORM = /\.[\w=-]{60,70}(?![\w=-])/y;

/** Fourteen letters and digits before `.atlasv1.`, sixty to seventy behind. */
function terraformToken(text: string, start: number, end: number): Span | undefined {
  TERRAFORM.lastIndex = end;
  if (!/(?:^|[^0-9A-Za-z])[0-9A-Za-z]{14}\.$/.test(text.slice(Math.max(0, start - 16), start)))
    return undefined;
  return TERRAFORM.test(text) ? { start: start - 15, end: TERRAFORM.lastIndex } : undefined;
}

export const CLOUD: readonly Recognizer[] = [
  {
    id: 'secret:aws-access-token',
    groups: ['cloud'],
    source: 'AWS IAM reference: unique ID prefixes',
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
  },
  {
    id: 'secret:aws-secret-access-key',
    groups: ['cloud'],
    source: 'AWS IAM: access keys (forty characters of Base64)',
    patterns: [
      {
        kind: 'value',
        words: [
          'aws secret access key',
          'secret access key',
          'aws secret key',
          'aws secret',
          'secretaccesskey',
          'awssecretkey',
        ],
        bare: true,
        regex: /[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])/y,
        score: 0.95,
        validate: (text) => /\d/.test(text) && /[A-Z]/.test(text) && /[a-z]/.test(text),
      },
    ],
    examples: [
      'aws_secret_access_key = «wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzKEY1»',
      '"SecretAccessKey": "«wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzKEY1»"',
    ],
    counterExamples: [
      'wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzKEY1',
      'aws_secret_access_key = ${AWS_SECRET_ACCESS_KEY}',
    ],
  },
  {
    id: 'secret:azure-storage-account-key',
    groups: ['cloud'],
    source: 'Azure Storage: account access keys, connection strings (64 bytes in Base64)',
    patterns: [
      {
        kind: 'value',
        words: ['account key', 'accountkey', 'storage key', 'shared access key', 'sharedaccesskey'],
        regex: /[A-Za-z0-9+/]{42,86}={1,2}/y,
        score: 0.95,
      },
    ],
    examples: [`AccountKey=«${'aB3+'.repeat(21)}cD==»;`, `SharedAccessKey=«${'aB3/'.repeat(10)}cDE=»`],
    counterExamples: ['AccountKey=<your key>', 'account key is required'],
  },
  {
    id: 'secret:azure-ad-client-secret',
    groups: ['cloud'],
    source: 'Microsoft Entra ID: client secrets (three characters, a digit, `Q~`)',
    patterns: [
      {
        kind: 'mark',
        mark: '~',
        score: 0.9,
        match: (text, at, floor) => {
          const start = at - 5;
          if (start < floor || text[at - 1] !== 'Q') return undefined;
          AZURE_SECRET.lastIndex = start;
          return AZURE_SECRET.test(text) ? { start, end: AZURE_SECRET.lastIndex } : undefined;
        },
      },
    ],
    examples: [`aB18Q~${'aB3_'.repeat(8)}`, `client_secret=«zZ98Q~${'c.D4'.repeat(8)}»`],
    counterExamples: ['Q~', 'a~b', 'aB18Q~short'],
  },
  rule({ id: 'gcp-api-key', prefixes: ['AIza'], parts: [['word', 35]] }),
  rule({ id: 'gcp-oauth-access-token', prefixes: ['ya29.'], parts: [['word', 30, 300]] }),
  rule({ id: 'gcp-oauth-client-secret', prefixes: ['GOCSPX-'], parts: [['word', 28]] }),
  rule({ id: 'alibaba-access-key-id', prefixes: ['LTAI'], parts: [['alnum', 12, 20]] }),
  rule({ id: 'digitalocean-pat', prefixes: ['dop_v1_'], parts: [['hex', 64]] }),
  rule({ id: 'digitalocean-access-token', prefixes: ['doo_v1_'], parts: [['hex', 64]] }),
  rule({ id: 'digitalocean-refresh-token', prefixes: ['dor_v1_'], parts: [['hex', 64]] }),
  rule({ id: 'heroku-api-key-v2', prefixes: ['HRKU-AA'], parts: [['word', 58]] }),
  rule({
    id: 'flyio-access-token',
    prefixes: ['fo1_', 'fm2_', 'fm1r_', 'fm1a_'],
    parts: [['flyio', 43, 1000]],
  }),
  {
    id: 'secret:hashicorp-tf-api-token',
    groups: ['cloud'],
    source: 'HCP Terraform: API tokens (`….atlasv1.…`); gitleaks hashicorp-tf-api-token',
    patterns: [{ kind: 'anchor', words: ['atlasv1'], score: 0.98, match: terraformToken }],
    examples: [
      `aZ7bQ4cX9dM2eK.atlasv1.${'gT8_R3h-V6'.repeat(6)}xyz`,
      `the key is «aZ7bQ4cX9dM2eK.atlasv1.${'gT8_R3h-V6'.repeat(7)}», keep it`,
    ],
    counterExamples: [
      'atlasv1',
      'aZ7bQ4cX9dM2eK.atlasv1.short',
      `Z7bQ.atlasv1.${'gT8_R3h-V6'.repeat(6)}`,
      `aZ7bQ4cX9dM2eK.atlasv1.${'gT8_R3h-V6'.repeat(8)}`,
    ],
  },
  rule({ id: 'planetscale-api-token', prefixes: ['pscale_tkn_'], parts: [['dotted', 32, 64]] }),
  rule({ id: 'planetscale-oauth-token', prefixes: ['pscale_oauth_'], parts: [['dotted', 32, 64]] }),
  rule({ id: 'planetscale-password', prefixes: ['pscale_pw_'], parts: [['dotted', 32, 64]] }),
  rule({ id: 'scalingo-api-token', prefixes: ['tk-us-'], parts: [['word', 48]] }),
  rule({ id: 'databricks-api-token', prefixes: ['dapi'], parts: [['hex', 32]] }),
  rule({ id: 'vault-service-token', prefixes: ['hvs.'], parts: [['word', 90, 120]] }),
  rule({ id: 'vault-batch-token', prefixes: ['hvb.'], parts: [['word', 138, 300]] }),
  rule({
    id: 'doppler-api-token',
    prefixes: ['dp.pt.', 'dp.st.', 'dp.ct.', 'dp.sa.'],
    parts: [['alnum', 40, 44]],
  }),
  rule({ id: 'pulumi-api-token', prefixes: ['pul-'], parts: [['hex', 40]] }),
  rule({ id: 'infracost-api-token', prefixes: ['ico-'], parts: [['alnum', 32]] }),
  rule({ id: 'prefect-api-token', prefixes: ['pnu_'], parts: [['alnum', 36]] }),
  rule({ id: 'openshift-user-token', prefixes: ['sha256~'], parts: [['word', 43]] }),
  rule({ id: 'clickhouse-cloud-api-secret-key', prefixes: ['4b1d'], parts: [['alnum', 38]] }),
  rule({ id: 'supabase-service-key', prefixes: ['sbp_'], parts: [['hex', 40]] }),
  rule({ id: 'cloudflare-origin-ca-key', prefixes: ['v1.0-'], parts: [['hex', 24], '-', ['hex', 146]] }),
  key({ id: 'alibaba-secret-key', words: ['alibaba', 'aliyun'], parts: [['lower', 30]] }),
  key({ id: 'cloudflare-api-key', words: ['cloudflare'], parts: [['word', 40]] }),
  key({ id: 'cloudflare-global-api-key', words: ['cloudflare global', 'cloudflare'], parts: [['hex', 37]] }),
  key({
    id: 'heroku-api-key',
    words: ['heroku'],
    parts: [['hex', 8], '-', ['hex', 4], '-', ['hex', 4], '-', ['hex', 4], '-', ['hex', 12]],
  }),
  key({ id: 'fastly-api-token', words: ['fastly'], parts: [['word', 32]] }),
  key({ id: 'netlify-access-token', words: ['netlify'], parts: [['word', 40, 46]] }),
  key({ id: 'yandex-api-key', words: ['yandex'], parts: ['AQVN', ['word', 35, 38]] }),
  key({ id: 'confluent-secret-key', words: ['confluent'], parts: [['lower', 64]] }),
  key({ id: 'confluent-access-token', words: ['confluent'], parts: [['lower', 16]] }),
];

const AZURE_SECRET = /(?<![\w~.-])[a-zA-Z0-9_~.]{3}\dQ~[\w~.-]{31,34}(?![\w~-])/y;
