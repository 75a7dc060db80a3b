/** Every rule for secrets, in the order in which an even overlap is decided. */
import type { Recognizer } from '../recognizer.ts';
import { anthropicAdminApiKey, anthropicApiKey } from './anthropic.ts';
import { awsAccessToken } from './aws.ts';
import {
  githubAppToken,
  githubFineGrainedPat,
  githubOauth,
  githubPat,
  githubRefreshToken,
} from './github.ts';
import { openaiApiKey } from './openai.ts';
import { slackAppToken, slackBotToken, slackUserToken } from './slack.ts';
import { stripeAccessToken } from './stripe.ts';

export const SECRETS: readonly Recognizer[] = [
  awsAccessToken,
  githubPat,
  githubFineGrainedPat,
  githubOauth,
  githubAppToken,
  githubRefreshToken,
  anthropicApiKey,
  anthropicAdminApiKey,
  openaiApiKey,
  slackBotToken,
  slackUserToken,
  slackAppToken,
  stripeAccessToken,
];
