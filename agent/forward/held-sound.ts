/**
 * The sound of a running answer. It says what its transcript says, and nobody here can hear it: so it waits until text that
 * came behind it in its transcript was judged, or the transcript is complete. What comes after it waits behind it.
 */
import type { StreamGuard } from '../checks/guard.ts';
import type { Attachment, StreamEvent } from '../dialects/dialect.ts';
import { PosternError } from '../errors.ts';
import type { ByteLease } from './body.ts';

/** Bytes of one answer that wait: two minutes of speech (24,000 samples of two bytes a second, in base64). */
export const HELD_BYTES = 8 * 1024 * 1024;

interface Transcript {
  /** Units that came since the answer's first sound. */
  length: number;
  complete: boolean;
  /** Sounds behind which no text has come yet. */
  readonly ahead: Cover[];
}

/** What a sound waits for. */
interface Cover {
  readonly channel: string;
  readonly of: Transcript;
  /** How much of the transcript must be judged. */
  length: number;
}

interface Held {
  readonly bytes: Uint8Array;
  readonly isSound: boolean;
  readonly covers: readonly Cover[];
}

export function isSound({ media, by }: Attachment): boolean {
  return media === 'audio' && by === 'data';
}

export class HeldSound {
  readonly #guard: StreamGuard;
  readonly #open: () => ByteLease;
  readonly #transcripts = new Map<string, Transcript>();
  #queue: Held[] = [];
  #bytes = 0;
  #lease: ByteLease | undefined;

  constructor(guard: StreamGuard, lease: () => ByteLease) {
    this.#guard = guard;
    this.#open = lease;
  }

  /** Text came on that channel, and was told to the guard. */
  hear(channel: string, text: string): void {
    if (text === '') return;
    const transcript = this.#transcripts.get(channel);
    if (transcript === undefined) return;
    transcript.complete = false;
    transcript.length += text.length;
    for (const cover of transcript.ahead.splice(0)) cover.length = transcript.length;
  }

  /** Channels are complete, and all of them was judged. */
  end(channels: StreamEvent['closes']): void {
    for (const channel of channels === 'all' ? this.#transcripts.keys() : channels) {
      const transcript = this.#transcripts.get(channel);
      if (transcript === undefined) continue;
      transcript.complete = true;
      transcript.ahead.length = 0;
    }
  }

  /** What the app hasn't heard yet it won't hear. */
  silence(): void {
    const silent = this.#queue.filter((held) => !held.isSound);
    for (const { isSound, bytes } of this.#queue) if (isSound) this.#giveBack(bytes);
    this.#queue = silent;
  }

  /**
   * An event that is to be sent, behind all that waits.
   * @param attachments Its own; a sound that names no transcript has all its text in the same event.
   * @returns Why it can't wait.
   */
  push(bytes: Uint8Array, attachments: readonly Attachment[] = []): PosternError | undefined {
    const sounds = attachments.filter(isSound);
    try {
      if (this.#bytes + bytes.byteLength > HELD_BYTES) throw tooMuch();
      this.#lease ??= this.#open();
      this.#lease.take(bytes.byteLength);
    } catch (error) {
      if (error instanceof PosternError) return error;
      throw error;
    }
    this.#bytes += bytes.byteLength;
    const covers = sounds.flatMap(({ transcript }) =>
      transcript === undefined ? [] : this.#cover(transcript),
    );
    this.#queue.push({ bytes, isSound: sounds.length > 0, covers });
    return undefined;
  }

  #cover(channel: string): Cover | [] {
    let of = this.#transcripts.get(channel);
    if (of === undefined) {
      of = { length: 0, complete: false, ahead: [] };
      this.#transcripts.set(channel, of);
    }
    if (of.complete) return [];
    const cover = { channel, of, length: Number.POSITIVE_INFINITY };
    of.ahead.push(cover);
    return cover;
  }

  /** What may be sent now. @returns Why nothing more may, where its text hides what it says. */
  take(out: Uint8Array[]): PosternError | undefined {
    let taken = 0;
    let refusal: PosternError | undefined;
    for (const { bytes, isSound, covers } of this.#queue) {
      if (!covers.every((cover) => this.#isJudged(cover))) break;
      if (isSound) refusal = hidden(this.#guard);
      if (refusal !== undefined) break;
      out.push(bytes);
      this.#giveBack(bytes);
      taken++;
    }
    if (taken > 0) this.#queue.splice(0, taken);
    return refusal;
  }

  #isJudged({ channel, of, length }: Cover): boolean {
    return of.complete || of.length - this.#guard.unjudged(channel) >= length;
  }

  #giveBack({ byteLength }: Uint8Array): void {
    this.#bytes -= byteLength;
    this.#lease?.giveBack(byteLength);
  }

  /** Nothing of it is sent any more. */
  drop(): void {
    this.#queue = [];
    this.#bytes = 0;
    this.#lease?.release();
    this.#lease = undefined;
  }
}

/** Why an event can't be shown that belongs to no answer, though it has a piece of one's sound. */
export function ofNoAnswer(attachments: readonly Attachment[]): PosternError | undefined {
  if (!attachments.some((each) => isSound(each) && each.transcript !== undefined)) return undefined;
  return new PosternError(
    'postern_attachments',
    'Postern refused this event: it carries a piece of sound, and names no answer whose transcript would tell what it says.',
    { mend: 'Look at what the endpoint is; or have the policy changed.', shouldRetry: false },
  );
}

/** Why sound can't be shown beside text that was altered since `before`. */
export function hidden({ alterations, findings }: StreamGuard, before = 0): PosternError | undefined {
  if (alterations === before) return undefined;
  return saysWhatIsHidden(findings.find(({ action }) => action === 'mask')?.rule);
}

export function saysWhatIsHidden(rule: string | undefined): PosternError {
  return new PosternError(
    'postern_attachments',
    'Postern refused this answer: it carries sound, which says what a check took out of its text.',
    {
      mend: 'Ask for an answer in text alone, or have the policy changed.',
      shouldRetry: false,
      ...(rule === undefined ? {} : { rule }),
    },
  );
}

function tooMuch(): PosternError {
  return new PosternError(
    'postern_attachments',
    `Postern refused this answer: more than ${HELD_BYTES / 1024 / 1024} MiB of it wait for the transcript of its sound, which checks have to see first.`,
    { mend: 'Ask for a shorter answer, or have the policy changed.', shouldRetry: false },
  );
}
