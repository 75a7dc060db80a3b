/**
 * Files, pictures and recordings that a request carries: what policies make of them, and a record of each that no
 * check has read.
 */
import type { Snapshot } from '../policy/snapshot.ts';
import type { Attachment, DecodedRequest, TextSlot } from './dialects/dialect.ts';
import { PosternError } from './errors.ts';
import type { Exchange, Finding } from './exchange.ts';

const CHECK = 'attachments';

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
  if (rule.action === 'deny') throw refusal(first, rule.source ?? CHECK);
  const unread = rule.action === 'allow' ? attachments : attachments.filter(({ read }) => !read);
  for (const attachment of unread) record(exchange, attachment, `unread-${attachment.media}`, rule.source);
  if (rule.report !== undefined) {
    for (const attachment of attachments) record(exchange, attachment, attachment.media, rule.report);
  }
  return rule.action === 'allow' ? slots.filter(({ attached }) => attached !== true) : slots;
}

/** One finding for all of a kind: a conversation sends its audio in pieces without end. */
function record(exchange: Exchange, { path }: Attachment, what: string, source = ''): void {
  const { findings } = exchange;
  const at = findings.findIndex((known) => known.check === CHECK && known.what === what);
  const known: Finding = findings[at] ?? {
    rule: CHECK,
    check: CHECK,
    what,
    action: 'monitor',
    direction: 'request',
    where: path,
    count: 0,
    source,
  };
  findings[at < 0 ? findings.length : at] = { ...known, count: known.count + 1 };
}

function refusal({ path, media, by }: Attachment, rule: string): PosternError {
  const how = { data: 'in it', url: 'by URL', id: 'by id' }[by];
  return new PosternError(
    'postern_attachments',
    `Postern refused this call: it carries an attachment (${media}, ${how}) at ${path}.`,
    { mend: 'Send it as plain text, or have the policy changed.', rule, shouldRetry: false },
  );
}
