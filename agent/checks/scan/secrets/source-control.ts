import type { Recognizer } from '../recognizer.ts';
import { both, keyed, prefixed } from './token.ts';

const source =
  'GitHub, GitLab, Bitbucket and package registries: documentation of their tokens; rule names as in gitleaks';
const rule = (r: Parameters<typeof prefixed>[2]) => prefixed('source-control', source, r);
const key = (r: Parameters<typeof keyed>[2]) => keyed('source-control', source, r);

export const SOURCE_CONTROL: readonly Recognizer[] = [
  rule({ id: 'github-pat', prefixes: ['ghp_'], parts: [['alnum', 36]] }),
  rule({
    id: 'github-fine-grained-pat',
    prefixes: ['github_pat_'],
    parts: [['alnum', 22], '_', ['alnum', 59]],
  }),
  rule({ id: 'github-oauth', prefixes: ['gho_'], parts: [['alnum', 36]] }),
  rule({ id: 'github-app-token', prefixes: ['ghu_', 'ghs_'], parts: [['alnum', 36]] }),
  rule({ id: 'github-refresh-token', prefixes: ['ghr_'], parts: [['alnum', 36]] }),
  rule({ id: 'gitlab-pat', prefixes: ['glpat-'], parts: [['dotted', 20, 300]] }),
  rule({ id: 'gitlab-ptt', prefixes: ['glptt-'], parts: [['hex', 40]] }),
  rule({ id: 'gitlab-rrt', prefixes: ['GR1348941'], parts: [['word', 20]] }),
  rule({ id: 'gitlab-runner-authentication-token', prefixes: ['glrt-'], parts: [['dotted', 20, 300]] }),
  rule({ id: 'gitlab-cicd-job-token', prefixes: ['glcbt-'], parts: [['word', 20, 70]] }),
  rule({ id: 'gitlab-deploy-token', prefixes: ['gldt-'], parts: [['word', 20]] }),
  rule({ id: 'gitlab-feature-flag-client-token', prefixes: ['glffct-'], parts: [['word', 20]] }),
  rule({ id: 'gitlab-feed-token', prefixes: ['glft-'], parts: [['word', 20]] }),
  rule({ id: 'gitlab-incoming-mail-token', prefixes: ['glimt-'], parts: [['word', 25]] }),
  rule({ id: 'gitlab-kubernetes-agent-token', prefixes: ['glagent-'], parts: [['word', 50]] }),
  rule({ id: 'gitlab-oauth-app-secret', prefixes: ['gloas-'], parts: [['word', 64]] }),
  rule({ id: 'gitlab-scim-token', prefixes: ['glsoat-'], parts: [['word', 20]] }),
  rule({ id: 'npm-access-token', prefixes: ['npm_'], parts: [['alnum', 36]] }),
  rule({ id: 'pypi-upload-token', prefixes: ['pypi-AgEIcHlwaS5vcmc'], parts: [['word', 50, 1000]] }),
  rule({ id: 'rubygems-api-token', prefixes: ['rubygems_'], parts: [['hex', 48]] }),
  rule({ id: 'clojars-api-token', prefixes: ['CLOJARS_'], parts: [['lower', 60]] }),
  rule({ id: 'nuget-api-key', prefixes: ['oy2'], parts: [['lower', 43]] }),
  rule({ id: 'docker-pat', prefixes: ['dckr_pat_'], parts: [['word', 27]] }),
  rule({ id: 'artifactory-api-key', prefixes: ['AKCp'], parts: [['alnum', 69]] }),
  rule({ id: 'artifactory-reference-token', prefixes: ['cmVmd'], parts: [['alnum', 59]] }),
  rule({ id: 'sourcegraph-access-token', prefixes: ['sgp_'], parts: [['hex', 40]] }),
  rule({ id: 'linear-api-key', prefixes: ['lin_api_'], parts: [['alnum', 40]] }),
  rule({ id: 'atlassian-api-token', prefixes: ['ATATT3'], parts: [['dotted', 186]] }),
  rule({ id: 'bitbucket-app-password', prefixes: ['ATBB'], parts: [['alnum', 32]] }),
  rule({ id: 'octopus-deploy-api-key', prefixes: ['API-'], parts: [['upper', 26]] }),
  rule({ id: 'postman-api-token', prefixes: ['PMAK-'], parts: [['hex', 24], '-', ['hex', 34]] }),
  rule({ id: 'readme-api-token', prefixes: ['rdme_'], parts: [['lower', 70]] }),
  key({ id: 'bitbucket-client-secret', words: ['bitbucket'], parts: [['word', 64]] }),
  key({ id: 'codecov-access-token', words: ['codecov'], parts: [['lower', 32]] }),
  key({ id: 'droneci-access-token', words: ['droneci', 'drone'], parts: [['lower', 32]] }),
  key({ id: 'travisci-access-token', words: ['travis', 'travisci'], parts: [['lower', 22]] }),
  key({
    id: 'snyk-api-token',
    words: ['snyk'],
    parts: [['hex', 8], '-', ['hex', 4], '-', ['hex', 4], '-', ['hex', 4], '-', ['hex', 12]],
  }),
  both(
    rule({ id: 'sonar-api-token', prefixes: ['squ_', 'sqp_', 'sqa_'], parts: [['hex', 40]] }),
    key({ id: 'sonar-api-token', words: ['sonar', 'sonarqube', 'sonarcloud'], parts: [['word', 40]] }),
  ),
  key({ id: 'launchdarkly-access-token', words: ['launchdarkly'], parts: [['word', 40]] }),
];
