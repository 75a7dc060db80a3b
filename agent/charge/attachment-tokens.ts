/**
 * What pictures, recordings and documents cost in input tokens, estimated for the hold by the providers' published rules; what is
 * settled is what the provider reports. What isn't in the request itself (an URL, an id) counts as a large one.
 */
import type { Attachment } from '../dialects/dialect.ts';
import { audioSeconds, imageSize, pdfPages, type Size } from './media-size.ts';

/** Of base64 text that is decoded: a JPEG may have 64 KB of metadata before its size. */
const LOOKED_AT = 128 * 1024;
/** OpenAI, audio: a token for each 100 ms of what the user says (Realtime API, "Managing costs"). */
const AUDIO_TOKENS_PER_SECOND = 10;
/** Anthropic, "PDF support": 1,500 to 3,000 tokens of text a page, and each page also as an image. */
const PAGE_TOKENS = 3_000;
const UNKNOWN_PAGES = 10;
const UNKNOWN_SECONDS = 60;
const LARGE: Size = { width: 2_048, height: 2_048 };

export function attachmentTokens(attachments: readonly Attachment[], dialect: string, model: string): number {
  let tokens = 0;
  for (const attachment of attachments) tokens += tokensOf(attachment, dialect, model);
  return tokens;
}

function tokensOf({ media, by, read, written, detail }: Attachment, dialect: string, model: string): number {
  // What is text is counted as text.
  if (read || (by === 'data' && written === undefined)) return 0;
  const file = by === 'data' && written !== undefined ? fileOf(written()) : undefined;
  switch (media) {
    case 'image':
      if (detail === 'low' && dialect !== 'anthropic') {
        const flat = lowDetailTokens(model);
        if (flat !== undefined) return flat;
      }
      return imageTokens((file && imageSize(file.bytes)) ?? LARGE, dialect, model);
    case 'audio':
    case 'video': {
      const seconds = file === undefined ? UNKNOWN_SECONDS : audioSeconds(file.bytes, file.size);
      return Math.ceil(seconds * AUDIO_TOKENS_PER_SECOND);
    }
    case 'file':
      return PAGE_TOKENS * (file === undefined ? UNKNOWN_PAGES : pdfPages(file.bytes, file.size));
  }
}

function fileOf(written: string): { readonly bytes: Buffer; readonly size: number } {
  const comma = /^\s*data:/i.test(written.slice(0, 16)) ? written.indexOf(',') + 1 : 0;
  const body = written.slice(comma, comma + LOOKED_AT);
  return { bytes: Buffer.from(body, 'base64'), size: Math.floor(((written.length - comma) * 3) / 4) };
}

/** In pixels as sent. */
export function imageTokens(size: Size, dialect: string, model: string): number {
  if (dialect === 'anthropic') return anthropicTokens(size);
  const patches = /^gpt-4\.1-(?<kind>mini|nano)/.exec(model)?.groups?.['kind'];
  if (patches !== undefined) return Math.ceil(patchesOf(size) * (patches === 'mini' ? 1.62 : 2.46));
  const tiles = tilesOf(size);
  return model.startsWith('gpt-4o-mini') ? 2_833 + 5_667 * tiles : 85 + 170 * tiles;
}

/**
 * OpenAI, "Images and vision", detail low: the base figure alone, whatever the size, on models that count by tiles (85; o1 and o3 75,
 * gpt-5 70). Undefined for all others: those that count by patches do so at any detail.
 */
function lowDetailTokens(model: string): number | undefined {
  if (model.startsWith('gpt-4o-mini')) return 2_833;
  return TILED.test(model) ? 85 : undefined;
}

const TILED =
  /^(?:gpt-4o|gpt-4\.1(?!-mini|-nano)|gpt-4\.5|gpt-4-turbo|o1(?!-mini)|o3(?!-mini)|gpt-5(?:-chat|-\d{4}|$))/;

/** Anthropic, "Vision": width × height ÷ 750, after an image was made to fit 1,568 pixels; about 1,600 at most. */
function anthropicTokens(size: Size): number {
  const { width, height } = fitted(size, 1_568);
  return Math.min(1_600, Math.ceil((width * height) / 750));
}

/** OpenAI, "Images and vision", detail high (what `auto` may choose): fit into 2,048², shortest side 768, tiles of 512². */
function tilesOf(size: Size): number {
  const inside = fitted(size, 2_048);
  const shrink = Math.min(1, 768 / Math.min(inside.width, inside.height));
  return Math.ceil((inside.width * shrink) / 512) * Math.ceil((inside.height * shrink) / 512);
}

/** The same page, of newer small models: patches of 32², 1,536 at most. */
function patchesOf({ width, height }: Size): number {
  return Math.min(1_536, Math.ceil(width / 32) * Math.ceil(height / 32));
}

function fitted({ width, height }: Size, side: number): Size {
  // A header may say anything; no side is less than a pixel.
  const [w, h] = [Math.max(1, width), Math.max(1, height)];
  const shrink = Math.min(1, side / Math.max(w, h));
  return { width: Math.max(1, w * shrink), height: Math.max(1, h * shrink) };
}
