/** All of `parts` in one array; the part itself where it is the only one. `length` is that of all together. */
export function joined(parts: Iterable<Uint8Array>, length: number): Uint8Array {
  let whole: Uint8Array | undefined;
  let at = 0;
  for (const part of parts) {
    if (part.length === length) return part;
    // A copy, because the next part may come in the same buffer.
    whole ??= new Uint8Array(length);
    whole.set(part, at);
    at += part.length;
  }
  return whole ?? new Uint8Array(0);
}
