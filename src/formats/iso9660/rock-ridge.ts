/** Rock Ridge (RRIP 1.12) entries in the system use area of directory records (SUSP 1.12). */
import { both32, recordDate } from './layout.ts';

const ER_ID = 'RRIP_1991A';
const ER_DESCRIPTION = 'THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS';
const ER_SOURCE = 'PLEASE CONTACT THE PUBLISHER OF THE IEEE P1282 STANDARD FOR ITS SPECIFICATION';
const encoder = new TextEncoder();
const ENTRY_MAX = 255;

function entry(signature: string, version: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + data.length);
  bytes.set(encoder.encode(signature));
  bytes[2] = bytes.length;
  bytes[3] = version;
  bytes.set(data, 4);
  return bytes;
}

/** SP: the first entry of the root's "." record; says that system use entries follow from byte 0. */
export function sp(): Uint8Array {
  return entry('SP', 1, Uint8Array.of(0xbe, 0xef, 0));
}

/** ER: names the extension; in the root's "." record. */
export function er(): Uint8Array {
  const texts = [ER_ID, ER_DESCRIPTION, ER_SOURCE].map((text) => encoder.encode(text));
  const [id, description, source] = texts as [Uint8Array, Uint8Array, Uint8Array];
  return entry(
    'ER',
    1,
    Uint8Array.of(id.length, description.length, source.length, 1, ...id, ...description, ...source),
  );
}

/** PX: POSIX mode (with the file type), links, owner, group and serial number. */
export function px(mode: number, links: number, serial: number): Uint8Array {
  const data = new Uint8Array(40);
  const view = new DataView(data.buffer);
  both32(view, 0, mode);
  both32(view, 8, links);
  both32(view, 16, 0);
  both32(view, 24, 0);
  both32(view, 32, serial);
  return entry('PX', 1, data);
}

/** TF: modification, access and attribute change times, all `seconds`. */
export function tf(seconds: number): Uint8Array {
  const date = recordDate(seconds);
  return entry('TF', 1, Uint8Array.of(0x0e, ...date, ...date, ...date));
}

/** NM: the POSIX name, in as many entries as it needs; all but the last are marked to continue. */
export function nm(name: Uint8Array): Uint8Array[] {
  const room = ENTRY_MAX - 5;
  const entries: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < name.length; at += room) {
    const more = at + room < name.length ? 1 : 0;
    entries.push(entry('NM', 1, Uint8Array.of(more, ...name.subarray(at, at + room))));
  }
  return entries;
}

/** SL: a symbolic link's target by components; a component that does not fit into one entry goes on in the next. */
export function sl(target: string): Uint8Array[] {
  const components: Uint8Array[] = [];
  const parts = target.split('/');
  if (target.startsWith('/')) components.push(Uint8Array.of(0x08, 0));
  for (const part of parts.filter((text) => text !== '')) {
    if (part === '.') components.push(Uint8Array.of(0x02, 0));
    else if (part === '..') components.push(Uint8Array.of(0x04, 0));
    else {
      const bytes = encoder.encode(part);
      const room = 200;
      for (let at = 0; at < bytes.length; at += room) {
        const piece = bytes.subarray(at, at + room);
        components.push(Uint8Array.of(at + room < bytes.length ? 1 : 0, piece.length, ...piece));
      }
    }
  }
  const entries: Uint8Array[][] = [[]];
  let used = 0;
  for (const component of components) {
    if (used + component.length > ENTRY_MAX - 5) {
      entries.push([]);
      used = 0;
    }
    entries.at(-1)?.push(component);
    used += component.length;
  }
  return entries.map((group, at) =>
    entry('SL', 1, Uint8Array.of(at < entries.length - 1 ? 1 : 0, ...group.flatMap((c) => [...c]))),
  );
}

/** CE: where the entries that did not fit go on. */
export function ce(sector: number, offset: number, length: number): Uint8Array {
  const data = new Uint8Array(24);
  const view = new DataView(data.buffer);
  both32(view, 0, sector);
  both32(view, 8, offset);
  both32(view, 16, length);
  return entry('CE', 1, data);
}

export const CE_LENGTH = 28;
