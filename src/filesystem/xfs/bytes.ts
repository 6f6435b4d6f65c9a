/** Big-endian numbers in bytes, as XFS stores all but its checksums. The caller has checked that they lie inside. */

export function be16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

export function be32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** Exact below 2^53; a larger number comes out near to what it is, and larger than any that is valid. */
export function be64(bytes: Uint8Array, at: number): number {
  return be32(bytes, at) * 0x1_0000_0000 + be32(bytes, at + 4);
}

export function le32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/** True when the `length` bytes at `at` and at `otherAt` are the same. */
export function sameBytes(bytes: Uint8Array, at: number, other: Uint8Array, otherAt: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[at + i] !== other[otherAt + i]) return false;
  return true;
}
