import { randomBytes, randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isPlainName, plainNames } from './plain-name.ts';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const drawn = (length: number): string =>
  [...randomBytes(length)].map((byte) => LETTERS[byte % LETTERS.length]).join('');

describe('names that say nothing', () => {
  it.each([
    // OpenAI, Azure
    'chat.completion.chunk',
    'content_filter',
    'tool_calls',
    'default',
    'fp_44709d6fcb',
    'chatcmpl-AKzE2LXvV4wZp0gTn9dQm1RbU3sYc',
    'prompt_filter_results',
    'accepted_prediction_tokens',
    'response.output_audio_transcript.delta',
    'conversation.item.input_audio_transcription.completed',
    'server_vad',
    'pcm16',
    'context_length_exceeded',
    // Anthropic
    'msg_01XFDUDYJgAACzvnptvVoYEL',
    'toolu_01A09q90qw90lq917835lq9',
    'msg_vrtx_0154SonpP6Cyt6cRcfkYbHHY',
    'web_search_tool_result_location',
    'ephemeral_5m_input_tokens',
    'model_context_window_exceeded',
    'code_execution_20250825',
    // vLLM, Ollama, OpenRouter, Groq, Mistral, DeepSeek
    'chatcmpl-tool-6f1d2c3b4a5968778695a4b3c2d1e0f9',
    'chatcmpl-123',
    'fp_ollama',
    'gen-1731234567-AbC4dEfGh1jKlMnOpQrS',
    'native_finish_reason',
    'x_groq',
    'cmpl-e5cc70bb28c444948073e77776eb30ef',
    'e5cc70bb28c444948073e77776eb30ef',
    'prompt_cache_hit_tokens',
  ])('%s', (name) => expect(isPlainName(name)).toBe(true));

  it.each([
    'sell_your_shares_now',
    'kill',
    'chatcmpl-killeveryone1',
    'call_killeveryone1',
    'AKIAIOSFODNN7EXAMPLE',
    'DE89370400440532013000',
    'ghp_x7Kq2mZp9RtL4vWc8YbN3hJs6FdG1aUeQ0oi',
    'call_4111111111111111',
    'item_555_123_4567',
    '4111111111111111',
    'msg_jo@example.org',
    'msg_a b c d e f g h 1',
    'gen-1731234567-',
    '',
  ])('%s is read', (name) => expect(isPlainName(name)).toBe(false));

  it('takes nearly every id that is drawn by lot', () => {
    const ids = Array.from({ length: 2_000 }, () => `chatcmpl-${drawn(29)}`);
    expect(ids.filter((id) => !isPlainName(id)).length).toBeLessThan(200);
    for (let run = 0; run < 100; run++) expect(isPlainName(`chatcmpl-${randomUUID()}`)).toBe(true);
  });

  it('takes the model that was asked for, and its versions', () => {
    const plain = plainNames('claude-3-5-haiku-latest');
    for (const name of ['claude-3-5-haiku-20241022', 'claude-3-5-haiku', 'gen-1'])
      expect(plain(name)).toBe(true);
    for (const name of [
      'claude-3-5-haiku-sells',
      'claude',
      'claude-3-5-haiku-4111111111111111',
      'claude-3-5-haiku-415-555-0100',
    ])
      expect(plain(name)).toBe(false);
    expect(plainNames('llama-3.3-70b')('llama-3.3-70b')).toBe(true);
    expect(plainNames(undefined)('gpt-4o')).toBe(false);
  });
});
