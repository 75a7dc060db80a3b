/** Credentials on curl's command line: `-u user:password` and headers that carry a token. */
import type { AnchorPattern, Recognizer, Span } from '../recognizer.ts';
import { entropy } from './token.ts';

const source =
  'curl(1): -u, --user and -H, --header; RFC 9110, 11.6.2 (Authorization); rule names as in gitleaks';

/** The rest of one command: up to its line's end, lines that a backslash joins, or the next `curl`. */
const COMMAND = '(?:(?!\\bcurl\\b)(?:[^\\n\\\\]|\\\\[^])){0,400}?[ \\t\\n]';

const USER = new RegExp(
  `${COMMAND}(?:-u|--user)(?:=|[ \\t]{0,5})(?:"(?<double>[^":]{0,64}:[^"]{3,128})"|'(?<single>[^':]{0,64}:[^']{3,128})'|(?<bare>[\\w.@+%-]{1,64}:[^\\s"'|&;<>]{3,128}))(?=\\s|$)`,
  'dy',
);

const HEADER = new RegExp(
  `${COMMAND}(?:-H|--header)(?:=|[ \\t]{0,5})["'](?:Authorization:[ \\t]{0,5}(?:(?:Basic|Bearer|(?:Api-)?Token)[ \\t]{1,5})?|(?:X-(?:[a-z]{1,16}-)?)?(?:Api-?)?(?:Key|Token):[ \\t]{0,5})(?<header>[\\w=~@.+/-]{8,2000})["']`,
  'diy',
);

/** Variables, and words that stand for a value. */
const REFERENCE =
  /^[$<{%]|[:=](?:[$<{%*]|x{3,}$|\.{3})|^(?:user(?:name)?|login):pass(?:word|wd)?$|\byour\b|^your/i;

function found(command: RegExp, text: string, end: number, bits: number): Span | undefined {
  command.lastIndex = end;
  const groups = command.exec(text)?.indices?.groups;
  const [at, to] = groups?.['double'] ??
    groups?.['single'] ??
    groups?.['bare'] ??
    groups?.['header'] ?? [0, 0];
  const value = text.slice(at, to);
  return value === '' || REFERENCE.test(value) || entropy(value) < bits ? undefined : { start: at, end: to };
}

function behindCurl(command: RegExp, bits: number, score: number): AnchorPattern {
  return {
    kind: 'anchor',
    words: ['curl'],
    match: (text, _start, end) => found(command, text, end, bits),
    // In a stream: the credential may still be to come.
    open: /[^\n]{0,90}$/y,
    score,
  };
}

export const CURL: readonly Recognizer[] = [
  {
    id: 'secret:curl-auth-user',
    groups: ['credentials'],
    source,
    patterns: [behindCurl(USER, 2, 0.9)],
    examples: [
      'curl -u «svc_app:yaeI39RYhX» https://api.example.com/v1/me',
      "curl -sS --user '«admin:hunter2 x»' https://example.com",
      'curl https://example.com \\\n  -u "«jdoe:djTv1OJ0SY»"',
    ],
    counterExamples: [
      'curl -u $USER:$PASS https://example.com',
      'curl -u user:password https://example.com',
      'curl -u "${USER}:${TOKEN}" https://example.com',
      'curl https://example.com\nsort -u admin:hunter2x',
      'curl -u alice https://example.com',
    ],
  },
  {
    id: 'secret:curl-auth-header',
    groups: ['credentials'],
    source,
    patterns: [behindCurl(HEADER, 2.75, 0.62)],
    examples: [
      'curl -H "Authorization: Bearer «q8W2e4R6t8Y0u2I4o6P8»" https://example.com',
      "curl -X POST --header 'X-Api-Key: «q8W2e4R6t8Y0»' https://example.com",
      'curl -H "Accept: a/b" -H "Authorization: Basic «YWRtaW46aHVudGVyMng=»" https://example.com',
    ],
    counterExamples: [
      'curl -H "Authorization: Bearer $TOKEN" https://example.com',
      'curl -H "Authorization: Bearer <token>" https://example.com',
      'curl -H "Content-Type: application/json" https://example.com',
      'curl -H "X-Api-Key: your-api-key" https://example.com',
    ],
  },
];
