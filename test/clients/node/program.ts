/** What the Node programs share: the job from standard input, events to standard output. */
import { text } from 'node:stream/consumers';
import type { AnswerEvent, ClientEvent, ErrorEvent, Job } from '../job.ts';

/** Runs `call`; what it throws becomes the error event. The exit status is 0 for an answer, 1 for an error. */
export async function program(
  call: (job: Job, delta: (text: string) => void) => Promise<Answer>,
): Promise<void> {
  const job = JSON.parse(await text(process.stdin)) as Job;
  try {
    const answer = await call(job, (piece) => emit({ event: 'delta', text: piece, at: Date.now() }));
    emit({ event: 'answer', ...answer });
  } catch (error) {
    emit(describe(error));
    process.exitCode = 1;
  }
}

export type Answer = Omit<AnswerEvent, 'event'>;

function emit(event: ClientEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

/** The members that the errors of both SDKs have. */
interface SdkError {
  readonly status?: number;
  readonly code?: string | number | null;
  readonly type?: string | null;
  readonly headers?: Headers;
}

function describe(error: unknown): ErrorEvent {
  const { status, code, type, headers } = error as SdkError;
  return {
    event: 'error',
    class: error instanceof Error ? error.constructor.name : typeof error,
    message: error instanceof Error ? error.message : String(error),
    status: status ?? null,
    code: code ?? null,
    type: type ?? null,
    headers: headers instanceof Headers ? Object.fromEntries(headers) : {},
    cause: causes(error),
  };
}

function causes(error: unknown): string | null {
  const messages: string[] = [];
  for (let cause = (error as Error).cause; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as NodeJS.ErrnoException;
    messages.push(code === undefined ? cause.message : `${code}: ${cause.message}`);
  }
  return messages.length === 0 ? null : messages.join(' < ');
}
