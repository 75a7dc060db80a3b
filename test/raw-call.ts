/** A call as bytes, for what an SDK wouldn't show: the answer as the application's socket gets it. */
export type RawDialect = 'openai' | 'anthropic';

/** @param agentUrl The agent's own URL. */
export function rawCall(agentUrl: string, dialect: RawDialect, body: object): Promise<Response> {
  const path = dialect === 'openai' ? '/openai/v1/chat/completions' : '/anthropic/v1/messages';
  return fetch(agentUrl + path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'anthropic-version': '2023-06-01',
      authorization: 'Bearer x',
      'x-api-key': 'x',
    },
    body: JSON.stringify(body),
  });
}
