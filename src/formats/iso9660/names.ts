/** Names as the two trees of an ISO hold them: level 2 file identifiers, and UCS-2 for Joliet. */

const IDENTIFIER_MAX = 30;
/** Joliet names are at most 64 UCS-2 characters. */
export const JOLIET_MAX = 64;
const JOLIET_FORBIDDEN = /[\u0000-\u001f*/:;?\\]/g;

/**
 * ISO 9660 identifiers for the names of one directory, in their order: upper case, digits and underscores, at most 30
 * characters with one dot, made unique by a number at the end. Files end in ";1".
 */
export function isoIdentifiers(names: readonly { readonly name: string; readonly directory: boolean }[]): string[] {
  const unique = uniqueNames();
  return names.map(({ name, directory }) => {
    const dot = directory ? -1 : name.lastIndexOf('.');
    const clean = (text: string): string => text.toUpperCase().replace(/[^A-Z0-9_]/g, '_');
    const extension = dot > 0 ? clean(name.slice(dot + 1)).slice(0, 8) : '';
    const stem = clean(dot > 0 ? name.slice(0, dot) : name) || '_';
    return unique(stem, IDENTIFIER_MAX - extension.length - 1, directory ? '' : `.${extension};1`);
  });
}

/** Joliet names for one directory: forbidden characters become `_`, long ones are cut, collisions numbered. */
export function jolietNames(names: readonly string[]): string[] {
  const unique = uniqueNames();
  return names.map((name) => unique(name.replace(JOLIET_FORBIDDEN, '_'), JOLIET_MAX, ''));
}

/** Gives each `stem + suffix` once: the stem cut to `room`, and numbered where that was given before. */
function uniqueNames(): (stem: string, room: number, suffix: string) => string {
  const used = new Set<string>();
  /** The last number given for a cut stem: counting from 1 each time would be quadratic. */
  const numbers = new Map<string, number>();
  return (stem, room, suffix) => {
    const first = cut(stem, room) + suffix;
    let candidate = first;
    let n = numbers.get(first) ?? 0;
    while (used.has(candidate)) {
      n++;
      candidate = `${cut(stem, room - String(n).length)}${n}${suffix}`;
    }
    numbers.set(first, n);
    used.add(candidate);
    return candidate;
  };
}

/** The first `length` UTF-16 units, one less where that would part a surrogate pair. */
function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length);
}

export function ucs2(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 2);
  for (let i = 0; i < text.length; i++) {
    bytes[2 * i] = text.charCodeAt(i) >> 8;
    bytes[2 * i + 1] = text.charCodeAt(i) & 0xff;
  }
  return bytes;
}
