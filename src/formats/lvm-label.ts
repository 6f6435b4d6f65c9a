/**
 * The binary structures of an LVM2 physical volume: its label, and the header of a metadata area (LVM2 source,
 * lib/label/label.h and lib/format_text/layout.h). All numbers are little-endian.
 */

import { FormatError } from '../errors.ts';
import { crc32 } from './crc32.ts';

export const LVM_SECTOR = 512;
/** The label is in one of the first four sectors. */
export const LVM_LABEL_SECTORS = 4;
/** Length of a metadata area's header; its ring buffer begins after it. */
export const LVM_AREA_HEADER = 512;

export const LVM_LABEL = { id: 0, sector: 8, crc: 16, offset: 20, type: 24 } as const;
export const LVM_LABEL_ID = 'LABELONE';
export const LVM_LABEL_TYPE = 'LVM2 001';
export const LVM_UUID_LENGTH = 32;
/** pvcreate(8), option --metadatacopies. */
const MOST_AREAS = 2;
export const LVM_AREA = { checksum: 0, magic: 4, version: 20, start: 24, size: 32, locations: 40 } as const;
export const LVM_AREA_MAGIC = ' LVM2 x[5A%r0N*>';
const LOCATION_LENGTH = 24;
const LOCATION_IGNORED = 1;

/** A range of a physical volume, bytes. */
export interface LvmRange {
  readonly position: number;
  readonly size: number;
}

export interface LvmLabel {
  /** Without dashes. */
  readonly uuid: string;
  /** Bytes of the device when the volume was made. */
  readonly deviceSize: number;
  readonly metadataAreas: readonly LvmRange[];
}

/** Where the text of a metadata area is. */
export interface LvmArea extends LvmRange {
  /** Undefined when no group was ever written there. */
  readonly text:
    | {
        /** From the start of the area. */
        readonly offset: number;
        readonly size: number;
        readonly checksum: number;
        /** The administrator turned this area off; it may hold something old. */
        readonly ignored: boolean;
      }
    | undefined;
}

/** LVM's CRC-32: the common one with a start value of its own and without the last complement. */
export function lvmChecksum(bytes: Uint8Array, previous = 0xf597a6cf): number {
  return ~crc32(bytes, ~previous) >>> 0;
}

/**
 * The label in `sector`, which is number `index` of the volume, or undefined when there is none.
 * @throws FormatError `lvm.damaged`, `lvm.checksum`
 */
export function parseLvmLabel(sector: Uint8Array, index: number): LvmLabel | undefined {
  if (sector.length < LVM_SECTOR || latin(sector, LVM_LABEL.id, 8) !== LVM_LABEL_ID) return undefined;
  if (latin(sector, LVM_LABEL.type, 8) !== LVM_LABEL_TYPE) return undefined;
  const view = viewOf(sector);
  const stored = view.getUint32(LVM_LABEL.crc, true);
  const computed = lvmChecksum(sector.subarray(LVM_LABEL.offset, LVM_SECTOR));
  if (stored !== computed) throw badChecksum('label', stored, computed);
  if (wide(view, LVM_LABEL.sector) !== index) {
    throw damaged('label', `it says it is in sector ${wide(view, LVM_LABEL.sector)}, not ${index}`);
  }
  let at = view.getUint32(LVM_LABEL.offset, true);
  if (at + LVM_UUID_LENGTH + 8 > LVM_SECTOR)
    throw damaged('label', `its header lies at byte ${at}, outside its sector`);
  const uuid = latin(sector, at, LVM_UUID_LENGTH);
  const deviceSize = wide(view, at + LVM_UUID_LENGTH);
  at += LVM_UUID_LENGTH + 8;
  const data = ranges(view, at);
  const metadata = ranges(view, data.end);
  if (metadata.list.length > MOST_AREAS) {
    throw damaged('label', `it lists ${metadata.list.length} metadata areas, and LVM makes ${MOST_AREAS} at most`);
  }
  return { uuid, deviceSize, metadataAreas: metadata.list };
}

/** Ranges up to the one that begins at zero. */
function ranges(view: DataView, start: number): { list: LvmRange[]; end: number } {
  const list: LvmRange[] = [];
  for (let at = start; at + 16 <= LVM_SECTOR; at += 16) {
    const position = wide(view, at);
    if (position === 0) return { list, end: at + 16 };
    list.push({ position, size: wide(view, at + 8) });
  }
  throw damaged('label', 'the list of its areas has no end');
}

/**
 * The header of the metadata area at `range`.
 * @throws FormatError `lvm.damaged`, `lvm.checksum`
 */
export function parseLvmArea(header: Uint8Array, range: LvmRange): LvmArea {
  const view = viewOf(header);
  if (latin(header, LVM_AREA.magic, LVM_AREA_MAGIC.length) !== LVM_AREA_MAGIC)
    throw damaged('metadata area', 'it has no header');
  const stored = view.getUint32(LVM_AREA.checksum, true);
  const computed = lvmChecksum(header.subarray(LVM_AREA.magic, LVM_AREA_HEADER));
  if (stored !== computed) throw badChecksum('metadata area', stored, computed);
  if (view.getUint32(LVM_AREA.version, true) !== 1) {
    throw damaged('metadata area', `its version is ${view.getUint32(LVM_AREA.version, true)}, not 1`);
  }
  const position = wide(view, LVM_AREA.start);
  const size = wide(view, LVM_AREA.size);
  if (position !== range.position || size <= LVM_AREA_HEADER) {
    throw damaged('metadata area', `it says it has ${size} bytes at ${position}, its label at ${range.position}`);
  }
  const offset = wide(view, LVM_AREA.locations);
  if (offset === 0) return { position, size, text: undefined };
  const length = wide(view, LVM_AREA.locations + 8);
  if (offset < LVM_AREA_HEADER || offset >= size || length === 0 || length > size - LVM_AREA_HEADER) {
    throw damaged('metadata area', `its text of ${length} bytes at ${offset} is outside its ${size} bytes`);
  }
  const checksum = view.getUint32(LVM_AREA.locations + 16, true);
  const ignored = (view.getUint32(LVM_AREA.locations + LOCATION_LENGTH - 4, true) & LOCATION_IGNORED) !== 0;
  return { position, size, text: { offset, size: length, checksum, ignored } };
}

/** The pieces of the volume a text lies in: two where it goes on at the beginning of the ring buffer. */
export function lvmTextPieces(area: LvmArea & { readonly text: NonNullable<LvmArea['text']> }): LvmRange[] {
  const { position, size, text } = area;
  const first = Math.min(text.size, size - text.offset);
  const pieces = [{ position: position + text.offset, size: first }];
  if (first < text.size) pieces.push({ position: position + LVM_AREA_HEADER, size: text.size - first });
  return pieces;
}

/** A UUID of 32 characters with the dashes LVM prints. */
export function lvmUuidText(uuid: string): string {
  return uuid.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/, '$1-$2-$3-$4-$5-$6-$7');
}

function damaged(what: string, why: string): FormatError {
  return new FormatError('lvm.damaged', `Cannot read the ${what} of the LVM physical volume: ${why}`, { hint: REPAIR });
}

function badChecksum(what: string, stored: number, computed: number): FormatError {
  const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;
  return new FormatError(
    'lvm.checksum',
    `Cannot trust the ${what} of the LVM physical volume: its checksum is ${hex(stored)}, its bytes give ${hex(computed)}`,
    { hint: REPAIR, evidence: { stored: hex(stored), computed: hex(computed) } },
  );
}

const REPAIR = 'Run pvck on a copy of the disk; `pvck --repair` and vgcfgrestore can mend what it finds.';

/** Exact below 2^53; larger numbers are outside every disk anyway. */
function wide(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function latin(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}
