/** Paths are bytes; a key is their text one character a byte, for maps and comparisons. */

import { Slab } from '../formats/slab.ts';

const SLASH = 0x2f;
const paths = new Slab();

/** One character a byte: no two paths share a key, whatever their encoding. */
export function pathKey(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.length).toString('latin1');
}

/** The path of `name` in the directory at `parent`. */
export function joinPath(parent: Uint8Array, name: Uint8Array): Uint8Array {
  if (parent.length === 0) return name.slice();
  const path = paths.take(parent.length + 1 + name.length);
  path.set(parent);
  path[parent.length] = SLASH;
  path.set(name, parent.length + 1);
  return path;
}

/** The names between the slashes; empty ones left out. */
export function splitPath(path: string | Uint8Array): Uint8Array[] {
  const bytes = typeof path === 'string' ? new TextEncoder().encode(path) : path;
  const names: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; ) {
    const slash = bytes.indexOf(SLASH, start);
    const end = slash < 0 ? bytes.length : slash;
    if (end > start) names.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return names;
}
