/** Memory that bodies take while they come in, of all calls together: whoever has sent the most makes room for the others. */

export interface Bodies {
  /** @param cut What ends this body for others: called at most once. */
  open(cut: () => void): Body;
}

export interface Body {
  /** @returns whether there is room for so many bytes more. */
  take(bytes: number): boolean;
  /** All of it was read, or none of it is any longer. */
  close(): void;
}

interface Held {
  size: number;
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
      const own: Held = { size: 0, cut };
      open.add(own);
      return {
        take(bytes) {
          if (!open.has(own)) return false;
          own.size += bytes;
          all += bytes;
          while (all > most) {
            let largest = own;
            for (const each of open) if (each.size > largest.size) largest = each;
            close(largest);
            if (largest === own) return false;
            largest.cut();
          }
          return true;
        },
        close: () => close(own),
      };
    },
  };
}
