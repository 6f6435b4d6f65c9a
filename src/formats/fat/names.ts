/** Names of files on a FAT: the short one each has, and the long one before it (FAT specification 1.03, sections 6, 7). */

const BASE = 8;
const EXTENSION = 3;
export const SHORT_LENGTH = BASE + EXTENSION;
/** UTF-16 units of a long name. */
export const LONG_MAX = 255;
const UNITS_IN_ENTRY = 13;
const SHORT_CHARACTER = /[A-Z0-9$%'\-_@~`!(){}^#&]/;
const LONG_FORBIDDEN = /[\u0000-\u001f"*/:<>?\\|]/;
const UNPAIRED = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const encoder = new TextEncoder();

/** Why a FAT cannot hold a file of this name, or undefined. */
export function whyNoFatName(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..') return 'a component is empty or a dot';
  if (LONG_FORBIDDEN.test(name)) return 'a FAT allows no control characters and none of "*/:<>?\\|';
  if (/[. ]$/.test(name)) return 'a name ends in a dot or a blank, which Windows drops';
  if (UNPAIRED.test(name)) return 'half of a surrogate pair stands alone';
  return name.length > LONG_MAX ? `a name is longer than ${LONG_MAX} UTF-16 units` : undefined;
}

/** Names that are equal here are one name to a FAT: case does not count. */
export function foldFatName(name: string): string {
  return [...name].map((char) => (char.toUpperCase().length === char.length ? char.toUpperCase() : char)).join('');
}

/** The names of one file: eleven bytes, and the long one where those do not tell all. */
export interface FatNames {
  readonly short: string;
  readonly long: string | undefined;
}

/**
 * Short names for the names of one directory, in their order. Names that are short ones already, in any case, keep
 * theirs; the others are cut and numbered: `LONGNA~1.TXT`.
 */
export function fatNames(names: readonly string[]): FatNames[] {
  const used = new Set<string>();
  const found = new Map<string, FatNames>();
  for (const name of names) {
    const short = asShort(foldFatName(name));
    if (short === undefined) continue;
    used.add(short);
    found.set(name, { short, long: short === asShort(name) ? undefined : name });
  }
  /** The last number given to a stem: counting from 1 each time would be quadratic. */
  const numbers = new Map<string, number>();
  return names.map((name) => found.get(name) ?? { short: numbered(name, used, numbers), long: name });
}

/** The eleven bytes of `name`, when it is a short name as it stands. */
function asShort(name: string): string | undefined {
  const match = /^([^.]{1,8})(?:\.([^.]{1,3}))?$/.exec(name);
  const [, base = '', extension = ''] = match ?? [];
  const characters = base + extension;
  if (match === null || [...characters].some((char) => !SHORT_CHARACTER.test(char))) return undefined;
  return base.padEnd(BASE) + extension.padEnd(EXTENSION);
}

function numbered(name: string, used: Set<string>, numbers: Map<string, number>): string {
  const folded = foldFatName(name)
    .replace(/^[. ]+/, '')
    .replaceAll(' ', '');
  const dot = folded.lastIndexOf('.');
  const clean = (text: string): string => text.replaceAll('.', '').replace(/[^A-Z0-9$%'\-_@~`!(){}^#&]/g, '_');
  const stem = clean(dot > 0 ? folded.slice(0, dot) : folded).slice(0, 6) || '_';
  const extension = (dot > 0 ? clean(folded.slice(dot + 1)) : '').slice(0, EXTENSION).padEnd(EXTENSION);
  const key = `${stem}.${extension}`;
  for (let n = (numbers.get(key) ?? 0) + 1; ; n++) {
    const tail = `~${n}`;
    const short = (stem.slice(0, BASE - tail.length) + tail).padEnd(BASE) + extension;
    if (used.has(short)) continue;
    numbers.set(key, n);
    used.add(short);
    return short;
  }
}

const LONG_PLACES = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
const LAST_PART = 0x40;
const ATTRIBUTE_LONG = 0x0f;

/** How many entries a long name takes. */
export function longEntryCount({ long }: FatNames): number {
  return long === undefined ? 0 : Math.ceil(long.length / UNITS_IN_ENTRY);
}

/** The entries of a long name in the order they are stored, last part first; none without one. */
export function longNameEntries({ long, short }: FatNames): Uint8Array[] {
  if (long === undefined) return [];
  const parts: Uint8Array[] = [];
  const count = longEntryCount({ long, short });
  for (let part = count; part >= 1; part--) {
    const bytes = new Uint8Array(32);
    const view = new DataView(bytes.buffer);
    bytes[0] = part | (part === count ? LAST_PART : 0);
    bytes[11] = ATTRIBUTE_LONG;
    bytes[13] = shortChecksum(short);
    LONG_PLACES.forEach((place, at) => {
      const index = (part - 1) * UNITS_IN_ENTRY + at;
      // A NUL ends a name that does not fill its last entry, and ones fill what is left.
      view.setUint16(place, index < long.length ? long.charCodeAt(index) : index === long.length ? 0 : 0xffff, true);
    });
    parts.push(bytes);
  }
  return parts;
}

function shortChecksum(short: string): number {
  let sum = 0;
  for (const byte of encoder.encode(short)) sum = (((sum & 1) << 7) + (sum >>> 1) + byte) & 0xff;
  return sum;
}

const LABEL_FORBIDDEN = /[^\u0020-\u007e]|["*+,./:;<=>?[\\\]|]/;

/** Why a FAT cannot be labelled so, or undefined. */
export function whyNoFatLabel(label: string): string | undefined {
  if (label.length > SHORT_LENGTH) return `a label has at most ${SHORT_LENGTH} characters`;
  if (label.trim() === '' || label.startsWith(' ')) return 'it is empty or begins with a blank';
  return LABEL_FORBIDDEN.test(label) ? 'it has characters a label cannot have' : undefined;
}
