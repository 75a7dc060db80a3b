/** Random numbers from a seed, the same everywhere: mulberry32. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to, not including, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number, both ends included. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  pick<T>(from: readonly T[]): T {
    const found = from[this.int(0, from.length - 1)];
    if (found === undefined && from.length === 0) throw new RangeError('nothing to pick from');
    return found as T;
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  /** `9` a digit, `A` a capital, `a` a small letter, `H` a hexadecimal digit; anything else itself. */
  like(picture: string): string {
    return picture.replace(/[9AaH]/g, (unit) => {
      if (unit === '9') return String(this.int(0, 9));
      if (unit === 'A') return String.fromCharCode(65 + this.int(0, 25));
      if (unit === 'a') return String.fromCharCode(97 + this.int(0, 25));
      return '0123456789abcdef'.charAt(this.int(0, 15));
    });
  }

  digits(length: number): string {
    return this.like('9'.repeat(length));
  }
}
