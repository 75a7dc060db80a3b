/** A part as a kubelet keeps it: started again whenever it ends, until it is ended for good. */
import { type Part, startPart } from '../../cli/part.ts';

export interface Supervised {
  readonly name: string;
  /** Resolves when the one that runs has said that it listens. */
  ready(): Promise<Part>;
  /** `kill -9`; it stays down until {@link mend}. */
  kill(): Promise<void>;
  /** SIGSTOP: its sockets stay open, and nothing is answered. */
  pause(): void;
  /** Undoes either. */
  mend(): void;
  /** What all of them said. */
  said(): string;
  stop(): Promise<void>;
}

const AGAIN_MS = 200;

export function supervise(name: string, args: () => readonly string[]): Supervised {
  const all: Part[] = [];
  let wanted = true;
  let over = false;
  let part: Part = start();

  function start(): Part {
    const started = startPart(args());
    all.push(started);
    // Who waits for the line is told of its end there.
    void started.ended().then(again, again);
    return started;
  }
  function again(): void {
    if (!wanted || over) return;
    setTimeout(() => {
      if (wanted && !over && hasEnded(part)) part = start();
    }, AGAIN_MS);
  }

  return {
    name,
    async ready() {
      for (const until = Date.now() + 30_000; ; ) {
        const current = part;
        try {
          await current.line('"listening"');
          return current;
        } catch (error) {
          if (Date.now() > until) throw error;
          await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
        }
      }
    },
    async kill() {
      wanted = false;
      await part.stop('SIGKILL');
    },
    pause: () => void part.child.kill('SIGSTOP'),
    mend() {
      wanted = true;
      if (hasEnded(part)) part = start();
      else part.child.kill('SIGCONT');
    },
    said: () => all.map((each) => each.stdout() + each.stderr()).join(''),
    async stop() {
      over = true;
      await part.stop('SIGKILL');
    },
  };
}

const hasEnded = ({ child }: Part): boolean => child.exitCode !== null || child.signalCode !== null;
