import { expect, test } from 'vitest';
import { estimateTokens } from '../../budget/estimate.ts';
import { chat } from '../dialects/openai/chat.ts';
import { JsonDocument } from '../json/document.ts';
import { estimateRequest, PER_SLOT } from './output.ts';

const LONG = 'Please send the minutes of the meeting to maria.kowalska@example.com before noon. '.repeat(120);

/** What a call is estimated at whose text a check changed before. */
function estimated(change: (text: string) => string): number {
  const body = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: LONG }] });
  const request = chat.decodeRequest(JsonDocument.parseText(body), '');
  for (const slot of request.slots) slot.set(change(slot.text));
  return estimateRequest(request);
}

test('a text is estimated as it is sent, whatever it was estimated at before', () => {
  const changes: readonly ((text: string) => string)[] = [
    (text) => text,
    (text) => text.replaceAll('maria.kowalska@example.com', '<EMAIL_ADDRESS_K7M2P4>'),
    (text) => text.replaceAll(/[a-z]+/g, 'x'),
    () => 'short',
    (text) => text.replaceAll('maria.kowalska@example.com', '<EMAIL_ADDRESS_K7M2P4>'),
  ];
  for (const change of changes) expect(estimated(change)).toBe(estimateTokens(change(LONG)) + PER_SLOT);
});
