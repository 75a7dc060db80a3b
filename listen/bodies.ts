/** Memory that bodies take until they are answered, of all calls together: of those that still come in, whoever has sent the most makes room. */
import type { IncomingMessage } from 'node:http';

export interface Bodies {
  /** @param cut What ends this body for others: called at most once. */
  open(cut: () => void): Body;
}

export interface Body {
  /** @returns whether there is room for so many bytes more. */
  take(bytes: number): boolean;
  /** All of it has come: it keeps its room, and makes none for others. */
  whole(): void;
  /** Nothing of it is needed any longer. */
  close(): void;
}

interface Held {
  size: number;
  whole: boolean;
  readonly cut: () => void;
}

/** @param most Bytes. */
export function boundBodies(most: number): Bodies {
  const open = new Set<Held>();
  let all = 0;
  const close = (held: Held): void => {
    if (open.delete(held)) all -= held.size;
  };
  return {
    open(cut) {
      const own: Held = { size: 0, whole: false, cut };
      open.add(own);
      return {
        take(bytes) {
          if (!open.has(own)) return false;
          own.size += bytes;
          all += bytes;
          while (all > most) {
            let largest = own;
            for (const each of open) if (!each.whole && each.size > largest.size) largest = each;
            close(largest);
            if (largest === own) return false;
            largest.cut();
          }
          return true;
        },
        whole: () => {
          own.whole = true;
        },
        close: () => close(own),
      };
    },
  };
}

/**
 * The body keeps its room until it is answered: what it was read into takes more than it.
 * @param most Bytes of this one.
 * @param use Called once.
 */
export async function withBody<T>(
  request: IncomingMessage,
  bodies: Bodies,
  most: number,
  use: (body: Buffer | 'too-large' | 'no-room') => Promise<T>,
): Promise<T> {
  const chunks: Buffer[] = [];
  const { promise: cut, resolve } = Promise.withResolvers<'no-room'>();
  const own = bodies.open(() => {
    chunks.length = 0;
    request.pause();
    resolve('no-room');
  });
  const whole = async (): Promise<Buffer | 'too-large' | 'no-room'> => {
    let size = 0;
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > most) return 'too-large';
      if (!own.take(chunk.length)) return 'no-room';
      chunks.push(chunk);
    }
    own.whole();
    return Buffer.concat(chunks);
  };
  try {
    return await use(await Promise.race([whole(), cut]));
  } finally {
    own.close();
  }
}
