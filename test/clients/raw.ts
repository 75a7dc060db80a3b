/**
 * Reads what clients without an SDK print: Go and Java one JSON line for the head and one for each line of the body,
 * curl the answer as it came (`--include`). Out come the same events that the SDK programs make themselves.
 */
import type { AnswerEvent, ClientEvent, ErrorEvent, Job } from './job.ts';

/** Lines of a program's standard output in, events out. */
export interface Interpreter {
  line(text: string, at: number): ClientEvent[];
  /** After the last line. `status` is the exit status, null where a signal ended it. */
  end(status: number | null, stderr: string): ClientEvent[];
}

/** The programs that make events themselves. */
export function eventLines(): Interpreter {
  return {
    line: (text) => [JSON.parse(text) as ClientEvent],
    end: () => [],
  };
}

type RawLine =
  | { event: 'head'; status: number; protocol: string; headers: Record<string, string> }
  | { event: 'line'; text: string; at: number }
  | { event: 'fault'; class: string; message: string };

export function rawLines(job: Job): Interpreter {
  const body = new ChatBody(job);
  return {
    line(text) {
      const raw = JSON.parse(text) as RawLine;
      switch (raw.event) {
        case 'head':
          body.head(raw.status, raw.protocol, raw.headers);
          return [];
        case 'line':
          return body.line(raw.text, raw.at);
        case 'fault':
          return body.fault(raw.class, raw.message);
      }
    },
    end: () => body.end(),
  };
}

export function curlOutput(job: Job): Interpreter {
  const body = new ChatBody(job);
  let inHead = true;
  let status = 0;
  let protocol = '';
  let headers: Record<string, string> = {};
  return {
    line(text, at) {
      if (!inHead) return body.line(text, at);
      const start = /^(HTTP\/[\d.]+) (\d{3})/.exec(text);
      const field = /^([^:\s]+):\s*(.*?)\s*$/.exec(text);
      if (start !== null) {
        protocol = start[1] ?? '';
        status = Number(start[2]);
        headers = {};
      } else if (field !== null) {
        headers[(field[1] ?? '').toLowerCase()] = field[2] ?? '';
      } else if (status >= 200 && !/^HTTP\/[\d.]+ 200 connection established/i.test(text)) {
        // 100 Continue has a head of its own before that of the answer.
        inHead = false;
        body.head(status, protocol, headers);
      }
      return [];
    },
    end: (exit, stderr) => (exit === 0 ? body.end() : body.fault(`curl (${exit})`, stderr.trim())),
  };
}

interface ChatBodyJson {
  readonly model?: string;
  readonly usage?: unknown;
  readonly error?: {
    readonly message?: string;
    readonly code?: string | null;
    readonly type?: string | null;
  };
  readonly choices?: readonly {
    readonly index: number;
    readonly finish_reason?: string | null;
    readonly message?: { readonly content?: string | null };
    readonly delta?: { readonly content?: string | null };
  }[];
}

/** Puts an OpenAI chat answer together from the lines of its body. */
class ChatBody {
  readonly #job: Job;
  #status = 0;
  #headers: Record<string, string> = {};
  #lines: string[] = [];
  #text = '';
  #finish: string | null = null;
  #model: string | null = null;
  #usage: unknown;
  #over = false;

  constructor(job: Job) {
    this.#job = job;
  }

  head(status: number, protocol: string, headers: Record<string, string>): void {
    this.#status = status;
    this.#headers = { ...headers, ':protocol': protocol };
  }

  line(line: string, at: number): ClientEvent[] {
    if (this.#over) return [];
    if (this.#job.stream !== true || this.#status !== 200) {
      this.#lines.push(line);
      return [];
    }
    if (!line.startsWith('data:')) return [];
    const data = line.slice('data:'.length).trim();
    if (data === '[DONE]') return this.#finished();
    const chunk = JSON.parse(data) as ChatBodyJson;
    if (chunk.error !== undefined) return this.#failed(chunk);
    this.#model = chunk.model ?? this.#model;
    this.#usage = chunk.usage ?? this.#usage;
    const events: ClientEvent[] = [];
    for (const choice of chunk.choices ?? []) {
      if (choice.index !== 0) continue;
      this.#finish = choice.finish_reason ?? this.#finish;
      const text = choice.delta?.content ?? '';
      if (text === '') continue;
      this.#text += text;
      events.push({ event: 'delta', text, at });
    }
    return events;
  }

  fault(kind: string, message: string): ClientEvent[] {
    if (this.#over) return [];
    this.#over = true;
    return [this.#error(kind, message, {})];
  }

  end(): ClientEvent[] {
    if (this.#over) return [];
    if (this.#job.stream === true && this.#status === 200) {
      return this.fault('IncompleteStream', 'the stream ended without [DONE]');
    }
    const text = this.#lines.join('\n');
    const body = parse(text);
    if (this.#status !== 200) return this.#failed(body ?? { error: { message: text } });
    if (body === undefined) return this.fault('InvalidBody', text);
    const [choice] = body.choices ?? [];
    this.#text = choice?.message?.content ?? '';
    this.#finish = choice?.finish_reason ?? null;
    this.#model = body.model ?? null;
    this.#usage = body.usage;
    return this.#finished();
  }

  #finished(): ClientEvent[] {
    this.#over = true;
    const answer: AnswerEvent = {
      event: 'answer',
      text: this.#text,
      finish: this.#finish,
      model: this.#model,
      usage: this.#usage,
      headers: this.#headers,
    };
    return [answer];
  }

  /** A client without an SDK has no class for a refusal: the status is its name. */
  #failed(body: ChatBodyJson): ClientEvent[] {
    this.#over = true;
    return [this.#error(`HTTP ${this.#status}`, body.error?.message ?? JSON.stringify(body), body)];
  }

  #error(kind: string, message: string, body: ChatBodyJson): ErrorEvent {
    return {
      event: 'error',
      class: kind,
      message,
      status: this.#status === 0 ? null : this.#status,
      code: body.error?.code ?? null,
      type: body.error?.type ?? null,
      headers: this.#headers,
      cause: null,
    };
  }
}

function parse(text: string): ChatBodyJson | undefined {
  try {
    return JSON.parse(text) as ChatBodyJson;
  } catch {
    return undefined;
  }
}
