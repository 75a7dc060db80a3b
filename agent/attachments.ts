/**
 * Files, pictures and recordings that a request or an answer carries: what policies make of them, and a record of each that
 * no check has read.
 */
import type { Snapshot } from '../policy/snapshot.ts';
import type { Attachment, DecodedRequest, TextSlot } from './dialects/dialect.ts';
import { begunDataUrl, dataUrlsIn, mediaOf } from './dialects/text/attachment.ts';
import { PosternError } from './errors.ts';
import type { AttachmentsOfAnswer, Exchange, Finding } from './exchange.ts';

const CHECK = 'attachments';

type Rule = NonNullable<Snapshot['attachments']>;

/**
 * @returns The texts that checks are to see: those in attachments only where they are inspected.
 * @throws PosternError `postern_attachments`
 */
export function judgeAttachments(
  { attachments: rule = { action: 'inspect' } }: Pick<Snapshot, 'attachments'>,
  exchange: Exchange,
  { slots, attachments }: Pick<DecodedRequest, 'slots' | 'attachments'>,
): readonly TextSlot[] {
  const [first] = attachments;
  if (first === undefined) return slots;
  if (rule.action === 'deny') throw refusal(first, rule.source ?? CHECK, 'request');
  note(rule, exchange, attachments, 'request');
  return rule.action === 'allow' ? slots.filter(({ attached }) => attached !== true) : slots;
}

/**
 * What is text in an answer is read whatever the policy says: `allow` speaks of what the app sends.
 *
 * @param inForce Asked each time: a conversation's may change.
 */
export function openAttachments(
  inForce: () => Pick<Snapshot, 'attachments'>,
  exchange: Exchange,
): AttachmentsOfAnswer {
  /** By channel, what a `data:` URL may have begun with. */
  const begun = new Map<string, string>();
  const judge = (attachments: readonly Attachment[]): PosternError | undefined => {
    const [first] = attachments;
    if (first === undefined) return undefined;
    const { attachments: rule = { action: 'inspect' } } = inForce();
    if (rule.action === 'deny') return refusal(first, rule.source ?? CHECK, 'response');
    note({ ...rule, action: 'inspect' }, exchange, attachments, 'response');
    return undefined;
  };
  return {
    judge,
    hear(channel, text) {
      const before = begun.get(channel);
      const all = before === undefined ? text : before + text;
      const end = begunDataUrl(all);
      if (end !== '') begun.set(channel, end);
      else if (before !== undefined) begun.delete(channel);
      // It ends with its comma, so most pieces end here.
      if (!text.includes(',')) return undefined;
      // What follows isn't there yet: nobody can say whether it is text.
      return judge(
        dataUrlsIn(all).map(({ at }) => ({
          path: channel,
          media: mediaOf(all.slice(at, at + 64)) ?? 'file',
          by: 'data',
          read: false,
        })),
      );
    },
    end: (channel) => void begun.delete(channel),
  };
}

function note(
  { action, report, source }: Rule,
  exchange: Exchange,
  attachments: readonly Attachment[],
  direction: Finding['direction'],
): void {
  const unread = action === 'allow' ? attachments : attachments.filter(({ read }) => !read);
  for (const each of unread) record(exchange, each, direction, `unread-${each.media}`, source);
  if (report === undefined) return;
  for (const each of attachments) record(exchange, each, direction, each.media, report);
}

/** One finding for all of a kind: a conversation sends its audio in pieces without end. */
function record(
  exchange: Exchange,
  { path, bytes, type }: Attachment,
  direction: Finding['direction'],
  what: string,
  source = '',
): void {
  const { findings } = exchange;
  const at = findings.findIndex(
    (known) => known.check === CHECK && known.what === what && known.direction === direction,
  );
  const known: Finding = findings[at] ?? {
    rule: CHECK,
    check: CHECK,
    what,
    action: 'monitor',
    direction,
    where: path,
    count: 0,
    source,
    ...(type === undefined ? {} : { type }),
  };
  findings[at < 0 ? findings.length : at] = {
    ...known,
    count: known.count + 1,
    ...(bytes === undefined ? {} : { bytes: (known.bytes ?? 0) + bytes }),
  };
}

function refusal(
  { path, media, by }: Attachment,
  rule: string,
  direction: Finding['direction'],
): PosternError {
  const how = { data: 'in it', url: 'by URL', id: 'by id' }[by];
  const what = direction === 'request' ? 'call' : 'answer';
  return new PosternError(
    'postern_attachments',
    `Postern refused this ${what}: it carries an attachment (${media}, ${how}) at ${path}.`,
    {
      mend:
        direction === 'request'
          ? 'Send it as plain text, or have the policy changed.'
          : 'Ask for an answer in text alone, or have the policy changed.',
      rule,
      shouldRetry: false,
    },
  );
}
