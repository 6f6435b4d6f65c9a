/** Volume descriptors and directory records of ISO 9660 (ECMA-119 8 and 9.1) as they are read. */
import { FormatError } from '../errors.ts';
import { DESCRIPTOR, RECORD_HEAD, SECTOR, STANDARD_ID } from './iso9660/layout.ts';

/** Where the bytes of an image come from; a disk of compose's is one. */
export interface IsoSource {
  /** Bytes. */
  readonly size: number;
  read(position: number, into: Uint8Array): Promise<void>;
}

/** One directory record. */
export interface IsoRecord {
  /** Byte position of the record itself. */
  readonly at: number;
  /** First logical block of the data, its extended attribute record counted in. */
  readonly location: number;
  /** Logical blocks of the extended attribute record that precede the data. */
  readonly attributeBlocks: number;
  /** Bytes of data. */
  readonly length: number;
  readonly flags: number;
  readonly interleaved: boolean;
  readonly identifier: Uint8Array;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** The system use area. */
  readonly use: Uint8Array;
}

export interface IsoDescriptor {
  readonly kind: 'primary' | 'joliet';
  /** As the volume is labelled, padding removed. */
  readonly volumeId: string;
  /** Bytes in a logical block. */
  readonly blockSize: number;
  /** Bytes the volume says it has. */
  readonly volumeSize: number;
  readonly root: IsoRecord;
}

/** The descriptors of a volume, and the first block of its El Torito catalogue where it has one. */
export interface IsoDescriptors {
  readonly primary: IsoDescriptor;
  readonly joliet: IsoDescriptor | undefined;
  /** Sector of 2048 bytes. */
  readonly bootCatalogue: number | undefined;
  readonly udf: boolean;
}

/** Field positions in a volume descriptor. */
const VD = { version: 6, volumeId: 40, blocks: 80, escapes: 88, blockSize: 128, root: 156 } as const;
const VOLUME_ID_SIZE = 32;
const ROOT_RECORD_SIZE = 34;
/** Joliet levels 1 to 3: "%/" and one of these. */
const JOLIET_LEVELS = [0x40, 0x43, 0x45];
const EL_TORITO = 'EL TORITO SPECIFICATION';
const EL_TORITO_AT = 7;
const EL_TORITO_CATALOGUE = 71;

/** Field positions in a directory record. */
const RECORD = { attributeBlocks: 1, location: 2, length: 10, date: 18, flags: 25, unit: 26, gap: 27, nameLength: 32 };

const latin1 = new TextDecoder('latin1');
const utf16 = new TextDecoder('utf-16be');

/** @throws FormatError `iso9660.truncated` when the image ends before the bytes asked for */
export async function readIso(source: IsoSource, position: number, length: number, what: string): Promise<Uint8Array> {
  if (!(position >= 0 && length >= 0 && position + length <= source.size)) {
    throw new FormatError(
      'iso9660.truncated',
      `Cannot read ${what} of the ISO image: it lies at byte ${position}, and the image ends at ${source.size}`,
      { hint: 'The image was cut short or is damaged; compare it with its published checksum.' },
    );
  }
  const bytes = new Uint8Array(length);
  await source.read(position, bytes);
  return bytes;
}

/** A FormatError for bytes that contradict the standard. `iso9660.damaged` */
export function isoDamaged(what: string, why: string): FormatError {
  return new FormatError('iso9660.damaged', `Cannot read ${what} of the ISO image: ${why}`, {
    hint: 'The image is damaged; compare it with its published checksum.',
  });
}

/** The descriptor whose sector is `bytes`, or undefined when it is of a kind that is not read here. */
export function parseDescriptor(bytes: Uint8Array): IsoDescriptor | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const type = view.getUint8(0);
  const escapes = [view.getUint8(VD.escapes), view.getUint8(VD.escapes + 1)];
  const isJoliet =
    type === DESCRIPTOR.supplementary &&
    escapes[0] === 0x25 &&
    escapes[1] === 0x2f &&
    JOLIET_LEVELS.includes(view.getUint8(VD.escapes + 2));
  if (type !== DESCRIPTOR.primary && !isJoliet) return undefined;
  const blockSize = view.getUint16(VD.blockSize, true);
  if (![512, 1024, 2048].includes(blockSize)) {
    throw isoDamaged('the volume descriptor', `its logical blocks are said to have ${blockSize} bytes`);
  }
  const id = bytes.subarray(VD.volumeId, VD.volumeId + VOLUME_ID_SIZE);
  const root = parseRecord(bytes.subarray(VD.root, VD.root + ROOT_RECORD_SIZE), 0);
  return {
    kind: isJoliet ? 'joliet' : 'primary',
    volumeId: (isJoliet ? utf16 : latin1).decode(id).replace(/[\s\0]+$/, ''),
    blockSize,
    volumeSize: view.getUint32(VD.blocks, true) * blockSize,
    root,
  };
}

/** The kind of the descriptor in `bytes`, or undefined when it is none. */
export function descriptorType(bytes: Uint8Array): number | undefined {
  return latin1.decode(bytes.subarray(1, 1 + STANDARD_ID.length)) === STANDARD_ID ? bytes[0] : undefined;
}

/** Sector of the boot catalogue a boot record names, when it is El Torito's. */
export function catalogueOf(bytes: Uint8Array): number | undefined {
  const system = latin1.decode(bytes.subarray(EL_TORITO_AT, EL_TORITO_AT + EL_TORITO.length));
  if (system !== EL_TORITO) return undefined;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(EL_TORITO_CATALOGUE, true);
}

/** The record that begins at `bytes[0]` and fills it; `at` is where that is in the image. @throws FormatError */
function parseRecord(bytes: Uint8Array, at: number): IsoRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const nameLength = bytes.length > RECORD.nameLength ? view.getUint8(RECORD.nameLength) : 0;
  const nameEnd = RECORD_HEAD + nameLength;
  if (nameLength === 0 || nameEnd > bytes.length)
    throw isoDamaged('a directory', `the record at byte ${at} is no record`);
  const location = view.getUint32(RECORD.location, true);
  return {
    at,
    location: location + view.getUint8(RECORD.attributeBlocks),
    attributeBlocks: view.getUint8(RECORD.attributeBlocks),
    length: view.getUint32(RECORD.length, true),
    flags: view.getUint8(RECORD.flags),
    interleaved: view.getUint8(RECORD.unit) !== 0 || view.getUint8(RECORD.gap) !== 0,
    identifier: bytes.slice(RECORD_HEAD, nameEnd),
    mtime: shortDate(bytes.subarray(RECORD.date)),
    use: bytes.slice(Math.min(bytes.length, nameEnd + (nameEnd % 2))),
  };
}

/** The records of a directory whose bytes are `bytes` and begin at `position`. No record crosses a sector. */
export function* directoryRecords(bytes: Uint8Array, position: number): Generator<IsoRecord> {
  for (let at = 0; at < bytes.length; ) {
    const length = bytes[at] ?? 0;
    const sectorEnd = Math.min(bytes.length, at - (at % SECTOR) + SECTOR);
    if (length === 0) {
      at = sectorEnd;
      continue;
    }
    if (length <= RECORD_HEAD || at + length > sectorEnd) {
      throw isoDamaged('a directory', `the record at byte ${position + at} does not fit its sector`);
    }
    yield parseRecord(bytes.subarray(at, at + length), position + at);
    at += length;
  }
}

const QUARTER_HOUR = 15 * 60;

function nanoseconds(milliseconds: number, quarters: number): bigint {
  return Number.isFinite(milliseconds) ? BigInt(milliseconds - quarters * QUARTER_HOUR * 1000) * 1_000_000n : 0n;
}

/** Seven bytes (ECMA-119 9.1.5): years since 1900 to seconds, then quarters of an hour east of Greenwich. */
export function shortDate(bytes: Uint8Array): bigint {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, zone = 0] = bytes;
  if (month === 0) return 0n;
  return nanoseconds(Date.UTC(1900 + year, month - 1, day, hour, minute, second), (zone << 24) >> 24);
}

/** Seventeen bytes (ECMA-119 8.4.26.1): digits to hundredths of a second, then the zone. */
export function longDate(bytes: Uint8Array): bigint {
  const digits = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(latin1.decode(bytes.subarray(0, 16)));
  if (digits === null || digits[2] === '00') return 0n;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, hundredths = 0] = digits.slice(1).map(Number);
  const zone = ((bytes[16] ?? 0) << 24) >> 24;
  return nanoseconds(Date.UTC(year, month - 1, day, hour, minute, second, hundredths * 10), zone);
}
