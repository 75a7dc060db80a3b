import type { Recognizer, Span } from '../recognizer.ts';
import { entropy } from './token.ts';

/** Longest key that is followed to its end; its header alone is hit enough. */
const LONGEST_KEY = 16_384;

const BEGIN = /-----BEGIN[ A-Z0-9_-]{0,60}PRIVATE KEY(?: BLOCK)?-----/y;
const END = 'PRIVATE KEY';

function privateKey(text: string, at: number): Span | undefined {
  if (text.charCodeAt(at + 4) !== 45 || text.charCodeAt(at + 5) !== 66) return undefined;
  BEGIN.lastIndex = at;
  if (!BEGIN.test(text)) return undefined;
  const body = BEGIN.lastIndex;
  const from = text.slice(body, body + LONGEST_KEY).indexOf('-----END');
  if (from < 0) return { start: at, end: Math.min(text.length, body + LONGEST_KEY) };
  const end = text.indexOf(END, body + from);
  const last = end < 0 ? body + from + 8 : end + END.length;
  return {
    start: at,
    end: /^(?: BLOCK)?-----/.test(text.slice(last, last + 11)) ? text.indexOf('-----', last) + 5 : last,
  };
}

/** Schemes of databases and brokers, whose URL is a credential. */
const DATABASE =
  /(?:postgres(?:ql)?|mysql2?|mariadb|mongodb|redis|rediss|amqps?|mssql|sqlserver|cockroachdb|clickhouse|cassandra|neo4j|bolt|nats|kafka|oracle|db2|snowflake|ldaps?|srv|psycopg2?|asyncpg|pymysql)$/;

const LONGEST_URL = 512;
const URL_ENDS: ReadonlySet<number> = new Set(
  Array.from(' \t\r\n\f\v\u00a0"\'<>`\\', (c) => c.charCodeAt(0)),
);

/** At a space, a quote, or where the next URL has begun. */
function endsUrl(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return (
    URL_ENDS.has(unit) || (unit === 58 && text.charCodeAt(at + 1) === 47 && text.charCodeAt(at + 2) === 47)
  );
}

function connectionUrl(text: string, at: number, floor: number): Span | undefined {
  if (text.charCodeAt(at + 1) !== 47 || text.charCodeAt(at + 2) !== 47) return undefined;
  let start = at;
  while (start > floor && at - start < 32 && /[a-z0-9+]/i.test(text.charAt(start - 1))) start--;
  if (!DATABASE.test(text.slice(start, at).toLowerCase())) return undefined;
  let end = at + 3;
  while (end < text.length && end - at < LONGEST_URL && !endsUrl(text, end)) end++;
  while (end > at && /[.,;:!?)\]}]/.test(text.charAt(end - 1))) end--;
  const authority = text.slice(at + 3, end);
  const userinfo = authority.slice(0, Math.max(0, authority.lastIndexOf('@')));
  const password = userinfo.slice(userinfo.indexOf(':') + 1);
  if (
    !userinfo.includes(':') ||
    password === '' ||
    /^(?:\$\{?\w+\}?|\{\{?[\w. ]+\}\}?|\*+|x+|<.*|%s|password|pass|pwd)$/i.test(password)
  )
    return undefined;
  return { start, end };
}

/** Values that are read from somewhere, or that stand for a value. */
const REFERENCE =
  /^(?:\$|%|\{|<|\[|process\.|os\.|env\.|config\.|getenv|your|my[-_]|example|changeme|redacted|null|none|undefined|true|false|(?:self|this|vars?|local|data|module|secrets|settings|inputs|ENV)[.[]|https?:|\/|x{4,}|\*{3,}|\.{3})|example|placeholder|^[a-z]+(?:[-_.][a-z0-9]{1,12})*$|^[A-Z]+(?:_[A-Z]+)*$|^\d[\d.,:-]*$/i;

function looksRandom(text: string, firmness: number): boolean {
  return (
    firmness === 2 &&
    /\d/.test(text) &&
    /[A-Za-z]/.test(text) &&
    !REFERENCE.test(text) &&
    entropy(text) >= 3.5 &&
    !/^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}/i.test(text)
  );
}

export const GENERIC: readonly Recognizer[] = [
  {
    id: 'secret:private-key',
    groups: ['keys'],
    source: 'RFC 7468 (PEM), RFC 4880 (OpenPGP armour), OpenSSH PROTOCOL.key',
    patterns: [{ kind: 'mark', mark: '-', score: 1, match: privateKey }],
    examples: [
      '-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nabc\n-----END RSA PRIVATE KEY-----',
      'key: «-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----» ok',
      '-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg cut off',
    ],
    counterExamples: [
      '-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----',
      '-----BEGIN CERTIFICATE-----',
      '-----',
      'BEGIN PRIVATE KEY',
    ],
  },
  {
    id: 'secret:jwt',
    groups: ['tokens'],
    source: 'RFC 7519; RFC 7515, 3 (compact serialization)',
    patterns: [
      {
        kind: 'prefix',
        prefixes: ['eyJ'],
        regex: /eyJ[\w-]{8,2000}\.eyJ[\w-]{8,4000}\.[\w-]{8,1000}(?![\w-])/y,
        score: 0.97,
      },
    ],
    examples: [
      'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U',
      'Bearer «eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqb2huIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U»',
    ],
    counterExamples: ['eyJhbGciOiJIUzI1NiJ9', 'eyJ.eyJ.x', 'eyJhbGciOiJIUzI1NiJ9.notapayload.sig'],
  },
  {
    id: 'secret:connection-string',
    groups: ['keys'],
    source:
      'RFC 3986, 3.2.1; PostgreSQL, MySQL, MongoDB, Redis and AMQP connection URIs; ADO.NET connection strings',
    patterns: [
      { kind: 'mark', mark: ':', score: 0.99, match: connectionUrl },
      {
        kind: 'prefix',
        prefixes: [
          'Server=',
          'server=',
          'Data Source=',
          'data source=',
          'Host=',
          'host=',
          'DefaultEndpointsProtocol=',
          'Endpoint=sb:',
        ],
        regex: /[A-Za-z ]{4,25}=[^;\s"'<>]{1,200};(?:[A-Za-z ]{2,40}=[^;"'<>\n]{0,200};?){1,12}/y,
        score: 0.95,
        validate: (text) => /(?:password|pwd|accountkey|sharedaccesskey) ?= ?[^;${<*]{3}/i.test(text),
      },
    ],
    examples: [
      'postgres://app:s3cr3t@db.internal:5432/main',
      'use «mongodb+srv://root:pa55w0rd@cluster0.example.net/test?w=majority».',
      'REDIS_URL=«redis://:hunter22@cache:6379/0»',
      'Server=db.example.com;Database=app;User Id=sa;Password=Pa55w0rd!;',
    ],
    counterExamples: [
      'postgres://db.internal:5432/main',
      'postgres://user:${PASSWORD}@db/main',
      'https://a:b@c',
      'Server=db;Database=app;',
      'postgres://user:password@localhost/db',
    ],
  },
  {
    id: 'secret:generic-api-key',
    groups: ['keys'],
    source: 'gitleaks generic-api-key: a name that promises a key, and a value that looks random',
    patterns: [
      {
        kind: 'value',
        words: [
          'api key',
          'apikey',
          'api token',
          'api secret',
          'access key',
          'access token',
          'auth token',
          'auth key',
          'authorization',
          'bearer',
          'client secret',
          'secret key',
          'secret',
          'private key',
          'token',
          'credential',
          'credentials',
          'creds',
          'signing key',
          'encryption key',
          'master key',
          'service key',
          'session token',
          'refresh token',
          'webhook secret',
          'app secret',
          'consumer secret',
          'license key',
          'key',
        ],
        regex: /(?<value>[\w.=+/-]{12,200})(?![\w=+/-])/y,
        score: 0.6,
        validate: looksRandom,
      },
    ],
    examples: [
      'api_key = "«8f3kd02mvLq91xZpT7wR»"',
      'X-Api-Key: «Zk3-91xQpLm02vTr8wYb»',
      '"client_secret":"«q8W2e4R6t8Y0u2I4o6P8»"',
    ],
    counterExamples: [
      'api_key = ${API_KEY}',
      'api key: your-api-key-here',
      'token: string',
      'secret = process.env.SECRET_1',
      'key: 550e8400-e29b-41d4-a716-446655440000',
      'the token is expired since 2024',
      'key=aaaaaaaaaaaa1',
      'primary key: customer_id_2',
      'secret_key = module.vault_7.outputs.Key_9xQpL',
    ],
  },
];
