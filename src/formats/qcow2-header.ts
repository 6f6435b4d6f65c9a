/** The header of a qcow2 image, versions 2 and 3, and its extensions (QEMU, docs/interop/qcow2). */

import { FormatError } from '../errors.ts';
import { featureText, type Qcow2Feature } from './qcow2-features.ts';

/** "QFI" and 0xfb, the first four bytes. */
export const QCOW2_MAGIC = 0x514649fb;

/** Byte positions in the header; numbers are big-endian. */
const HEADER = {
  magic: 0,
  version: 4,
  backingFileOffset: 8,
  backingFileSize: 16,
  clusterBits: 20,
  size: 24,
  cryptMethod: 32,
  l1Size: 36,
  l1TableOffset: 40,
  incompatibleFeatures: 72,
  refcountOrder: 96,
  headerLength: 100,
  compressionType: 104,
} as const;

const VERSION_2_LENGTH = 72;
const VERSION_3_LENGTH = 104;
/** What `parseQcow2Header` must see at least, bytes. */
export const QCOW2_HEADER_PREFIX = 112;

const CLUSTER_BITS = { min: 9, max: 21 };
const BACKING_NAME_LIMIT = 1023;
const REFCOUNT_ORDER_LIMIT = 6;
/** QEMU refuses a longer L1 table (QCOW_MAX_L1_SIZE), bytes. */
const L1_LIMIT = 32 * 1024 * 1024;
/** An extended L2 entry divides its cluster into this many subclusters, which are no smaller than a sector. */
export const QCOW2_SUBCLUSTERS = 32;
const EXTENDED_L2_CLUSTER_BITS_MIN = 14;
const SECTOR = 512;

const EXTENSION = {
  end: 0x0000_0000,
  backingFormat: 0xe279_2aca,
  featureNames: 0x6803_f857,
  externalDataFile: 0x4441_5441,
} as const;
const EXTENSION_HEADER_LENGTH = 8;
const FEATURE_NAME_LENGTH = 48;

const CRYPT_METHODS: Readonly<Record<number, string>> = { 1: 'AES', 2: 'LUKS' };
const COMPRESSION_TYPES: Readonly<Record<number, Qcow2Compression>> = { 0: 'deflate', 1: 'zstd' };

/** Incompatible feature bits. */
const FEATURE = { dirty: 0, corrupt: 1, externalData: 2, compressionType: 3, extendedL2: 4 } as const;
const KNOWN_FEATURES = (1n << 5n) - 1n;

/** How the compressed clusters of an image are stored: raw deflate, or zstd frames. */
export type Qcow2Compression = 'deflate' | 'zstd';

/** The part of a header that reading needs. Offsets are bytes of the file. */
export interface Qcow2Header {
  readonly version: 2 | 3;
  /** Size of the disk, bytes: whole sectors, as QEMU gives it to a guest. */
  readonly size: number;
  readonly clusterSize: number;
  readonly l1Offset: number;
  /** Entries of the L1 table the disk needs; the table may be longer, for a snapshot's machine state. */
  readonly l1Entries: number;
  /** Entries of one L2 table; it fills a cluster. */
  readonly l2Entries: number;
  readonly extendedL2: boolean;
  readonly compression: Qcow2Compression;
  readonly backing: { readonly name: string; readonly format: string | undefined } | undefined;
  /** Name of the file guest data lies in, when it does not lie in this one. */
  readonly dataFile: string | undefined;
}

function damaged(why: string): FormatError {
  return new FormatError('qcow2.damaged', `Cannot read the qcow2 image: ${why}`, {
    hint: 'Look at it with `qemu-img check IMAGE`; if it was copied or downloaded, compare its checksum.',
  });
}

function unsupported(what: string): FormatError {
  return new FormatError('qcow2.unsupported', `Cannot read the qcow2 image: it uses ${what}`, {
    hint: 'Rewrite it with `qemu-img convert -O qcow2 IMAGE PLAIN.qcow2` and use that.',
  });
}

function cut(length: number): FormatError {
  return new FormatError('qcow2.truncated', `Cannot read the qcow2 image: its header is cut at ${length} bytes`, {
    hint: 'The file was copied or downloaded incompletely; fetch it again and compare its checksum.',
  });
}

/** True when `bytes` begin a QEMU copy-on-write image of any version. */
export function hasQcow2Magic(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) === QCOW2_MAGIC;
}

/**
 * Bytes at the beginning of the file that `parseQcow2Header` needs: the first cluster.
 * @throws FormatError when `prefix` (at least 24 bytes, or the whole file) is no qcow2 header
 */
export function qcow2HeaderArea(prefix: Uint8Array): number {
  if (!hasQcow2Magic(prefix)) {
    throw new FormatError('qcow2.not-qcow2', 'Cannot read the qcow2 image: it does not begin with "QFI" and 0xfb');
  }
  if (prefix.length < VERSION_2_LENGTH) throw cut(prefix.length);
  const view = viewOf(prefix);
  const version = view.getUint32(HEADER.version);
  if (version !== 2 && version !== 3) throw unsupported(`version ${version} of the format, not 2 or 3`);
  const clusterBits = view.getUint32(HEADER.clusterBits);
  if (clusterBits < CLUSTER_BITS.min || clusterBits > CLUSTER_BITS.max) {
    throw damaged(`clusters of 2^${clusterBits} bytes are outside 2^${CLUSTER_BITS.min} to 2^${CLUSTER_BITS.max}`);
  }
  return 2 ** clusterBits;
}

/**
 * The header in `area`, the first cluster of the file (less where the file is shorter).
 * @throws FormatError `qcow2.damaged`, `qcow2.truncated`, `qcow2.dirty`, `qcow2.corrupt`, `qcow2.encrypted` or
 *   `qcow2.unsupported`
 */
export function parseQcow2Header(area: Uint8Array): Qcow2Header {
  const clusterSize = qcow2HeaderArea(area);
  const view = viewOf(area);
  const version = view.getUint32(HEADER.version) as 2 | 3;
  const headerLength = version === 2 ? VERSION_2_LENGTH : versionThreeLength(view, clusterSize);
  const compressionType = version === 2 ? 0 : compressionTypeOf(view, headerLength);
  const backingOffset = u64(view, HEADER.backingFileOffset);
  if (backingOffset > clusterSize) {
    throw damaged(`the backing file name at byte ${backingOffset} is outside the first cluster (${clusterSize} bytes)`);
  }
  const extensions = parseExtensions(area, headerLength, backingOffset === 0 ? clusterSize : backingOffset);
  const features = version === 2 ? 0n : view.getBigUint64(HEADER.incompatibleFeatures);
  checkFeatures(features, extensions.featureNames);
  const crypt = view.getUint32(HEADER.cryptMethod);
  if (crypt !== 0) {
    throw new FormatError(
      'qcow2.encrypted',
      `Cannot read the qcow2 image: it is encrypted (${CRYPT_METHODS[crypt] ?? `method ${crypt}`})`,
      { hint: 'Decrypt it first with `qemu-img convert --image-opts` and the key, into a plain image.' },
    );
  }
  const extendedL2 = has(features, FEATURE.extendedL2);
  if (extendedL2 && clusterSize < 2 ** EXTENDED_L2_CLUSTER_BITS_MIN) {
    throw damaged(`subclusters do not fit into clusters of ${clusterSize} bytes`);
  }
  if (has(features, FEATURE.externalData) && extensions.dataFile === undefined) {
    throw damaged('its data lies in another file, whose name is missing from the header');
  }
  const compression = COMPRESSION_TYPES[compressionType];
  if (compression === undefined) throw unsupported(`unknown compression (type ${compressionType})`);
  const l2Entries = clusterSize / (extendedL2 ? 16 : 8);
  return {
    version,
    clusterSize,
    l2Entries,
    extendedL2,
    compression,
    ...parseGeometry(view, clusterSize, l2Entries),
    backing: parseBacking(area, backingOffset, clusterSize, extensions.backingFormat),
    dataFile: has(features, FEATURE.externalData) ? extensions.dataFile : undefined,
  };
}

function versionThreeLength(view: DataView, clusterSize: number): number {
  if (view.byteLength < VERSION_3_LENGTH) throw cut(view.byteLength);
  const length = view.getUint32(HEADER.headerLength);
  if (length < VERSION_3_LENGTH || length > clusterSize || length % 8 !== 0) {
    throw damaged(`a header length of ${length} bytes is impossible`);
  }
  const order = view.getUint32(HEADER.refcountOrder);
  if (order > REFCOUNT_ORDER_LIMIT) throw damaged(`reference counts of 2^${order} bits are impossible`);
  return length;
}

/** @throws FormatError `qcow2.damaged` when the field and its feature bit contradict each other, as in QEMU */
function compressionTypeOf(view: DataView, headerLength: number): number {
  const present = headerLength > HEADER.compressionType && view.byteLength > HEADER.compressionType;
  const type = present ? view.getUint8(HEADER.compressionType) : 0;
  const declared = has(view.getBigUint64(HEADER.incompatibleFeatures), FEATURE.compressionType);
  if (declared !== (type !== 0)) throw damaged(`compression type ${type} contradicts its feature bits`);
  return type;
}

function checkFeatures(features: bigint, names: readonly Qcow2Feature[]): void {
  const unknown = features & ~KNOWN_FEATURES;
  if (unknown !== 0n) throw unsupported(`features this reader does not know: ${featureText(unknown, names)}`);
  if (has(features, FEATURE.corrupt)) {
    throw new FormatError('qcow2.corrupt', 'Cannot read the qcow2 image: QEMU marked it as corrupt', {
      hint: 'Repair a copy with `qemu-img check -r all IMAGE`, and look at what it lost before you deploy it.',
    });
  }
  if (has(features, FEATURE.dirty)) {
    throw new FormatError('qcow2.dirty', 'Cannot read the qcow2 image: it was not closed cleanly (dirty bit)', {
      hint: 'Make sure that no QEMU uses it, then run `qemu-img check -r all IMAGE`.',
    });
  }
}

function parseGeometry(
  view: DataView,
  clusterSize: number,
  l2Entries: number,
): Pick<Qcow2Header, 'size' | 'l1Offset' | 'l1Entries'> {
  const size = u64(view, HEADER.size);
  if (!Number.isSafeInteger(size)) throw damaged(`a disk of ${size} bytes is impossible`);
  const declared = view.getUint32(HEADER.l1Size);
  if (declared * 8 > L1_LIMIT) throw damaged(`an L1 table of ${declared} entries is longer than QEMU allows`);
  const l1Entries = Math.ceil(size / (clusterSize * l2Entries));
  if (declared < l1Entries) {
    throw damaged(`its L1 table has ${declared} entries, a disk of ${size} bytes needs ${l1Entries}`);
  }
  const l1Offset = u64(view, HEADER.l1TableOffset);
  if (l1Offset % clusterSize !== 0 || (l1Entries > 0 && l1Offset === 0)) {
    throw damaged(`its L1 table at byte ${l1Offset} is not at the beginning of a cluster`);
  }
  return { size: size - (size % SECTOR), l1Offset, l1Entries };
}

function parseBacking(
  area: Uint8Array,
  offset: number,
  clusterSize: number,
  format: string | undefined,
): Qcow2Header['backing'] {
  const length = viewOf(area).getUint32(HEADER.backingFileSize);
  if (offset === 0) return undefined;
  if (length > Math.min(BACKING_NAME_LIMIT, clusterSize - offset)) {
    throw damaged(`a backing file name of ${length} bytes is too long`);
  }
  const name = text(within(area, offset, length), 'backing file');
  return name === '' ? undefined : { name, format };
}

interface Extensions {
  backingFormat?: string;
  dataFile?: string;
  featureNames: readonly Qcow2Feature[];
}

function parseExtensions(area: Uint8Array, start: number, end: number): Extensions {
  const found: Extensions = { featureNames: [] };
  const view = viewOf(area);
  let at = start;
  while (at + EXTENSION_HEADER_LENGTH <= Math.min(end, area.length)) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    if (type === EXTENSION.end) break;
    at += EXTENSION_HEADER_LENGTH;
    if (length > end - at) throw damaged(`its header extension ${hex(type)} of ${length} bytes leaves the header`);
    const data = within(area, at, length);
    if (type === EXTENSION.backingFormat) found.backingFormat = text(data, 'backing format');
    if (type === EXTENSION.externalDataFile) found.dataFile = text(data, 'data file');
    if (type === EXTENSION.featureNames) found.featureNames = parseFeatureNames(data);
    at += Math.ceil(length / 8) * 8;
  }
  return found;
}

function parseFeatureNames(data: Uint8Array): Qcow2Feature[] {
  const names: Qcow2Feature[] = [];
  for (let at = 0; at + FEATURE_NAME_LENGTH <= data.length; at += FEATURE_NAME_LENGTH) {
    const name = new TextDecoder().decode(data.subarray(at + 2, at + FEATURE_NAME_LENGTH)).replace(/\0.*$/s, '');
    names.push({ type: data[at] ?? 0, bit: data[at + 1] ?? 0, name });
  }
  return names;
}

function within(area: Uint8Array, at: number, length: number): Uint8Array {
  if (at + length > area.length) throw cut(area.length);
  return area.subarray(at, at + length);
}

/** C strings: QEMU stops at a NUL. */
function text(bytes: Uint8Array, what: string): string {
  const end = bytes.indexOf(0);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(end < 0 ? bytes : bytes.subarray(0, end));
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw damaged(`the name of its ${what} is not UTF-8`);
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const has = (features: bigint, bit: number): boolean => ((features >> BigInt(bit)) & 1n) === 1n;
const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;
/** Inexact past 2^53, which no file reaches. */
const u64 = (view: DataView, at: number): number => view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
