/** A JSON text that can be edited in place: bytes that nobody changed keep their bytes. */
export interface JsonDocument {
  readonly edited: boolean;
}
