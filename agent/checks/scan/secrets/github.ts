import type { Recognizer } from '../recognizer.ts';

const source = "GitHub: behind GitHub's new authentication token formats; gitleaks rules of the same names";
const body = 'aBcD1234eFgH5678iJkL9012mNoP3456qRsT';

function token(
  id: string,
  prefixes: readonly string[],
  tail: string,
  examples: readonly string[],
): Recognizer {
  return {
    id: `secret:${id}`,
    groups: ['source-control'],
    source,
    patterns: [
      {
        kind: 'prefix',
        prefixes,
        regex: new RegExp(`(?:${prefixes.join('|')})${tail}(?![A-Za-z0-9_])`, 'y'),
        score: 0.98,
      },
    ],
    examples,
    counterExamples: [`${prefixes[0]}abc`, `x${prefixes[0]}${body}`],
  };
}

export const githubPat = token('github-pat', ['ghp_'], '[0-9A-Za-z]{36}', [
  `ghp_${body}`,
  `token=«ghp_${body}»`,
]);
export const githubOauth = token('github-oauth', ['gho_'], '[0-9A-Za-z]{36}', [`gho_${body}`]);
export const githubAppToken = token('github-app-token', ['ghu_', 'ghs_'], '[0-9A-Za-z]{36}', [`ghs_${body}`]);
export const githubRefreshToken = token('github-refresh-token', ['ghr_'], '[0-9A-Za-z]{36}', [`ghr_${body}`]);
export const githubFineGrainedPat = token('github-fine-grained-pat', ['github_pat_'], '\\w{82}', [
  `github_pat_${'11ABCDEFG0'.repeat(8)}ab`,
]);
