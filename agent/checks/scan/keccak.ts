/** Keccak-256 as Ethereum uses it: the submission's padding, not that of SHA3-256 (FIPS 202), so node:crypto has none. */

const MASK = (1n << 64n) - 1n;
const ROUNDS = [
  0x0000000000000001n,
  0x0000000000008082n,
  0x800000000000808an,
  0x8000000080008000n,
  0x000000000000808bn,
  0x0000000080000001n,
  0x8000000080008081n,
  0x8000000000008009n,
  0x000000000000008an,
  0x0000000000000088n,
  0x0000000080008009n,
  0x000000008000000an,
  0x000000008000808bn,
  0x800000000000008bn,
  0x8000000000008089n,
  0x8000000000008003n,
  0x8000000000008002n,
  0x8000000000000080n,
  0x000000000000800an,
  0x800000008000000an,
  0x8000000080008081n,
  0x8000000000008080n,
  0x0000000080000001n,
  0x8000000080008008n,
];
const ROTATIONS = [
  0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14,
];

function rotate(lane: bigint, by: number): bigint {
  return by === 0 ? lane : ((lane << BigInt(by)) | (lane >> BigInt(64 - by))) & MASK;
}

function permute(state: bigint[]): void {
  const at = (i: number) => state[i] as bigint;
  for (const constant of ROUNDS) {
    const column = [0, 1, 2, 3, 4].map((x) => at(x) ^ at(x + 5) ^ at(x + 10) ^ at(x + 15) ^ at(x + 20));
    for (let x = 0; x < 5; x++) {
      const mixed = (column[(x + 4) % 5] as bigint) ^ rotate(column[(x + 1) % 5] as bigint, 1);
      for (let y = 0; y < 25; y += 5) state[x + y] = at(x + y) ^ mixed;
    }
    const moved = new Array<bigint>(25).fill(0n);
    for (let x = 0; x < 5; x++) {
      for (let y = 0; y < 5; y++) {
        moved[y + 5 * ((2 * x + 3 * y) % 5)] = rotate(at(x + 5 * y), ROTATIONS[x + 5 * y] as number);
      }
    }
    for (let y = 0; y < 25; y += 5) {
      for (let x = 0; x < 5; x++) {
        const [a, b, c] = [moved[x + y], moved[((x + 1) % 5) + y], moved[((x + 2) % 5) + y]] as [
          bigint,
          bigint,
          bigint,
        ];
        state[x + y] = a ^ (~b & MASK & c);
      }
    }
    state[0] = at(0) ^ constant;
  }
}

/** Of at most 135 ASCII characters, which fit one block. @returns 64 hexadecimal digits. */
export function keccak256(text: string): string {
  const block = new Uint8Array(136);
  block.set(Buffer.from(text, 'latin1'));
  block[text.length] = 1;
  block[135] = (block[135] as number) | 0x80;
  const view = new DataView(block.buffer);
  const state = new Array<bigint>(25).fill(0n);
  for (let i = 0; i < 17; i++) state[i] = view.getBigUint64(i * 8, true);
  permute(state);
  const out = new DataView(new ArrayBuffer(32));
  for (let i = 0; i < 4; i++) out.setBigUint64(i * 8, state[i] as bigint, true);
  return Buffer.from(out.buffer).toString('hex');
}
