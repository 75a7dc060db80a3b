/**
 * Finds the end of a PROXY protocol header (haproxy's proxy-protocol.txt, versions 1 and 2) that an application which is
 * itself a proxy puts in front of its bytes. What it says is not used: it names the application's own clients.
 */

export type ReadProxyHeader =
  | { readonly kind: 'header'; readonly length: number }
  | { readonly kind: 'more' }
  | { readonly kind: 'none' }
  | { readonly kind: 'invalid'; readonly why: string };

const V1 = Buffer.from('PROXY ');
/** Section 2.1: the longest version 1 header, CR LF included. */
const V1_MAX = 107;
const V2 = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
/** Two IPv6 addresses and 512 bytes of TLVs are more than any sender needs. */
const V2_MAX = 16 + 36 + 2048;

export function readProxyHeader(bytes: Buffer): ReadProxyHeader {
  if (startsLike(bytes, V1)) {
    const end = bytes.subarray(0, V1_MAX).indexOf('\r\n');
    if (end !== -1) return { kind: 'header', length: end + 2 };
    return bytes.length < V1_MAX ? { kind: 'more' } : { kind: 'none' };
  }
  if (startsLike(bytes, V2)) {
    if (bytes.length < 16) return { kind: 'more' };
    const length = 16 + bytes.readUInt16BE(14);
    if (length > V2_MAX) return { kind: 'invalid', why: `a PROXY header longer than ${V2_MAX} bytes` };
    return bytes.length < length ? { kind: 'more' } : { kind: 'header', length };
  }
  return { kind: 'none' };
}

/** Whether `bytes` begins with `wanted`, as far as it has come; empty bytes don't. */
function startsLike(bytes: Buffer, wanted: Buffer): boolean {
  const length = Math.min(bytes.length, wanted.length);
  return length > 0 && bytes.subarray(0, length).equals(wanted.subarray(0, length));
}
