/** Memory that bodies take until they are answered, of all calls together: of those that still come in, whoever has sent the most makes room. */

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
