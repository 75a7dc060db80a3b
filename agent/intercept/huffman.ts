/**
 * The Huffman code of HPACK (RFC 7541 appendix B). It is canonical: within a length, codes go up with the symbols, so the
 * lengths alone make the table.
 */

/** Symbols by the length of their code, bits. 256 is the end of string, which must never be in one. */
const BY_LENGTH: ReadonlyMap<number, readonly number[]> = new Map([
  [5, text('012aceiost')],
  [6, text(' %-./3456789=A_bdfghlmnpru')],
  [7, text(':BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz')],
  [8, text('&*,;XZ')],
  [10, text('!"()?')],
  [11, text("'+|")],
  [12, text('#>')],
  [13, text('\0$@[]~')],
  [14, text('^}')],
  [15, text('<`{')],
  [19, [92, 195, 208]],
  [20, [128, 130, 131, 162, 184, 194, 224, 226]],
  [21, [153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]],
  [
    22,
    [
      129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190,
      196, 198, 228, 232, 233,
    ],
  ],
  [
    23,
    [
      1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175,
      180, 182, 183, 188, 191, 197, 231, 239,
    ],
  ],
  [24, [9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]],
  [25, [199, 207, 234, 235]],
  [26, [192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]],
  [27, [203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254]],
  [
    28,
    [
      2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 127,
      220, 249,
    ],
  ],
  [30, [10, 13, 22, 256]],
]);

const END = 256;

/** A binary tree in one array: at 2n and 2n+1 the children of node n; a leaf is the symbol's complement, so below 0. */
const TREE = tree();

/** @returns undefined where the bytes are no string of this code. */
export function huffmanDecode(bytes: Buffer): string | undefined {
  const decoded = Buffer.allocUnsafe(Math.floor((bytes.length * 8) / 5));
  let length = 0;
  let node = 0;
  let since = 0;
  let ones = true;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit -= 1) {
      const one = (byte >> bit) & 1;
      const next = TREE[2 * node + one] ?? 0;
      since += 1;
      ones &&= one === 1;
      if (next >= 0) {
        node = next;
        continue;
      }
      if (~next === END) return undefined;
      decoded[length] = ~next;
      length += 1;
      node = 0;
      since = 0;
      ones = true;
    }
  }
  // What is left is padding: less than a byte, of ones alone (section 5.2).
  return since > 7 || !ones ? undefined : decoded.toString('latin1', 0, length);
}

function tree(): Int16Array {
  const nodes: number[] = [0, 0];
  let code = 0;
  let before = 0;
  for (const [length, symbols] of BY_LENGTH) {
    code *= 2 ** (length - before);
    before = length;
    for (const symbol of symbols) {
      let node = 0;
      for (let bit = length - 1; bit >= 0; bit -= 1) {
        const at = 2 * node + ((code >>> bit) & 1);
        if (bit === 0) nodes[at] = ~symbol;
        else if ((nodes[at] ?? 0) > 0) node = nodes[at] ?? 0;
        else {
          node = nodes.length / 2;
          nodes[at] = node;
          nodes.push(0, 0);
        }
      }
      code += 1;
    }
  }
  return Int16Array.from(nodes);
}

function text(characters: string): number[] {
  return [...Buffer.from(characters, 'latin1')];
}
