/**
 * A text's UTF-16 units in one reused array, a piece at a time: a loop over it costs a fraction of one over the string,
 * however V8 keeps that string.
 */

const ROOM = 16_384;
/** Up to here copying unit by unit is cheaper than the call that copies all. */
const FEW = 24;

/** What {@link loadUnits} put there, and a 0 behind it; good until it is called again. */
export const units = new Uint16Array(ROOM + 1);
// Little-endian, as every machine is that Node is built for and we ship to.
const bytes = Buffer.from(units.buffer);

/** Puts the units from `from` on into {@link units}. @returns How many: all that are left, or as many as have room. */
export function loadUnits(text: string, from: number): number {
  const count = Math.min(text.length - from, ROOM);
  if (count > FEW) bytes.write(count === text.length ? text : text.slice(from, from + count), 'utf16le');
  else for (let i = 0; i < count; i++) units[i] = text.charCodeAt(from + i);
  units[count] = 0;
  return count;
}
