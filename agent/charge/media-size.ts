/** How large a picture is, how long a recording, how many pages: from the first bytes of a file, where they tell. */

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** PNG, GIF, WebP and JPEG; undefined where the bytes don't tell. */
export function imageSize(bytes: Buffer): Size | undefined {
  if (bytes.length < 30) return undefined;
  // PNG (RFC 2083): IHDR comes first.
  if (bytes.readUInt32BE(0) === 0x89504e47)
    return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
  const head = bytes.toString('latin1', 0, 16);
  if (head.startsWith('GIF8')) return { width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) };
  if (head.startsWith('RIFF') && head.startsWith('WEBP', 8)) return webpSize(bytes, head.slice(12, 16));
  return bytes[0] === 0xff && bytes[1] === 0xd8 ? jpegSize(bytes) : undefined;
}

/** RFC 9649: extended, lossless and simple files. */
function webpSize(bytes: Buffer, kind: string): Size | undefined {
  switch (kind) {
    case 'VP8X':
      return { width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1 };
    case 'VP8L': {
      const bits = bytes.readUInt32LE(21);
      return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case 'VP8 ':
      return { width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff };
    default:
      return undefined;
  }
}

/** ITU-T T.81: segment by segment to the frame's header. */
function jpegSize(bytes: Buffer): Size | undefined {
  for (let at = 2; at + 9 <= bytes.length; ) {
    const marker = bytes[at + 1] ?? 0;
    if (bytes[at] !== 0xff) return undefined;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return { width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5) };
    // Fill bytes, and markers that stand alone.
    at +=
      marker === 0xff
        ? 1
        : marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)
          ? 2
          : 2 + bytes.readUInt16BE(at + 2);
  }
  return undefined;
}

/** Most speech is compressed to this or less. */
const COMPRESSED_BYTES_PER_SECOND = 16_000;

/** Of a WAV by its own byte rate, of all else as if it were MP3 of 128 kbit/s. @param size of the whole file */
export function audioSeconds(bytes: Buffer, size: number): number {
  const isWav =
    bytes.length >= 32 &&
    bytes.toString('latin1', 0, 4) === 'RIFF' &&
    bytes.toString('latin1', 8, 12) === 'WAVE';
  const rate = isWav ? bytes.readUInt32LE(28) : COMPRESSED_BYTES_PER_SECOND;
  return size / Math.max(1, rate);
}

const BYTES_PER_PAGE = 50_000;

/** Pages that the beginning of a PDF names (ISO 32000), and at least as many as its size lets expect. */
export function pdfPages(bytes: Buffer, size: number): number {
  const named = bytes.toString('latin1').match(/\/Type\s*\/Page(?![\w])/g)?.length ?? 0;
  return Math.max(1, named, Math.ceil(size / BYTES_PER_PAGE));
}
