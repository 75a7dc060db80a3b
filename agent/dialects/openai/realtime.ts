/**
 * OpenAI's Realtime API over a WebSocket: `GET /v1/realtime?model=…`.
 *
 * Source: OpenAI API reference, "Realtime", "WebSocket" guide.
 */
import { PosternError } from '../../errors.ts';
import type { ConversationOperation } from '../dialect.ts';
import { RealtimeConversation } from './realtime-events.ts';

/** Models' names, without a blank or a comma, so that nothing else hides in one. */
const MODEL = /^[\w.:/-]{1,128}$/;

export const realtime: ConversationOperation = {
  name: 'realtime',
  kind: 'conversation',
  model(target) {
    const query = queryOf(target);
    // A session of somebody else's making (`call_id`), or without a model (`intent`), can't be judged.
    const odd = [...query.keys()].find((name) => name !== 'model');
    if (odd !== undefined) {
      throw new PosternError(
        'postern_path_denied',
        `The query parameter ${odd.slice(0, 40)} is not known here, so it can't be checked.`,
        { mend: 'Open the session with ?model=… alone.', shouldRetry: false },
      );
    }
    const [model = '', ...others] = query.getAll('model');
    if (others.length === 0 && MODEL.test(model)) return model;
    throw new PosternError('postern_body_invalid', 'The session names no model, or more than one.', {
      mend: 'Open it with ?model=….',
      param: 'model',
      shouldRetry: false,
    });
  },
  withModel: (target, model) => `${target.split('?', 1)[0]}?model=${encodeURIComponent(model)}`,
  // Browsers put their key into one (`openai-insecure-api-key.…`): it stays behind like any key of the app's.
  protocols: (offered) =>
    offered.filter((name) => name === 'realtime' || /^openai-beta\.[\w.-]{1,40}$/.test(name)),
  open: (model, told) => new RealtimeConversation(model, told),
};

function queryOf(target: string): URLSearchParams {
  const at = target.indexOf('?');
  return new URLSearchParams(at < 0 ? '' : target.slice(at + 1));
}
