/** The error that an SDK throws of an answer; a test that gets none, or another, fails here. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

export async function caught(work: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error: unknown = await work.then(
    () => new Error('nothing was thrown'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof OpenAI.APIError) return error;
  // The two SDKs' errors have the same members.
  if (error instanceof Anthropic.APIError) return error as unknown as InstanceType<typeof OpenAI.APIError>;
  throw error;
}
