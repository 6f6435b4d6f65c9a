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
  const used = new Set<string>();
  return names.map(({ name, directory }) => {
    const dot = directory ? -1 : name.lastIndexOf('.');
    const clean = (text: string): string => text.toUpperCase().replace(/[^A-Z0-9_]/g, '_');
    const extension = dot > 0 ? clean(name.slice(dot + 1)).slice(0, 8) : '';
    const room = IDENTIFIER_MAX - extension.length - 1;
    const stem = clean(dot > 0 ? name.slice(0, dot) : name).slice(0, room) || '_';
    const whole = (text: string): string => (directory ? text : `${text}.${extension};1`);
    let candidate = whole(stem);
    for (let n = 1; used.has(candidate); n++) candidate = whole(`${stem.slice(0, room - String(n).length)}${n}`);
    used.add(candidate);
    return candidate;
  });
}

/** Joliet names for one directory: forbidden characters become `_`, long ones are cut, collisions numbered. */
export function jolietNames(names: readonly string[]): string[] {
  const used = new Set<string>();
  return names.map((name) => {
    const clean = name.replace(JOLIET_FORBIDDEN, '_');
    let candidate = clean.slice(0, JOLIET_MAX);
    for (let n = 1; used.has(candidate); n++) candidate = `${clean.slice(0, JOLIET_MAX - String(n).length)}${n}`;
    used.add(candidate);
    return candidate;
  });
}

export function ucs2(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 2);
  for (let i = 0; i < text.length; i++) {
    bytes[2 * i] = text.charCodeAt(i) >> 8;
    bytes[2 * i + 1] = text.charCodeAt(i) & 0xff;
  }
  return bytes;
}
