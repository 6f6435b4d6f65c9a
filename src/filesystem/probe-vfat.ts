import { type FileSystemProbe, fieldText, found, serialText, type Window } from './probe-window.ts';

/** FAT12, FAT16 and FAT32 (Microsoft FAT specification, section 3). */

const BPB = {
  jump: 0,
  sectorSize: 11,
  clusterSectors: 13,
  reservedSectors: 14,
  tables: 16,
  rootEntries: 17,
  media: 21,
  tableSectors: 22,
  tableSectors32: 36,
  rootCluster32: 44,
  signature: 510,
} as const;
const SERIAL = 39;
const SERIAL_32 = 67;
const LABEL = 43;
const LABEL_32 = 71;
const LABEL_LENGTH = 11;
const NO_LABEL = 'NO NAME';
const ENTRY_SIZE = 32;
const ENTRY_ATTRIBUTES = 11;
const ATTRIBUTE_MASK = 0x3f;
const ATTRIBUTE_LABEL = 0x08;
const ATTRIBUTE_DIRECTORY = 0x10;
const ATTRIBUTE_LONG_NAME = 0x0f;
const DELETED = 0xe5;
const KANJI_E5 = 0x05;
/** Clusters of a FAT32 root directory that are searched for the label. */
const ROOT_LIMIT = 100;

interface Layout {
  readonly fat32: boolean;
  readonly sectorSize: number;
  readonly clusterSize: number;
  readonly tablesAt: number;
  readonly rootAt: number;
  readonly rootSize: number;
  readonly dataAt: number;
  readonly rootCluster: number;
}

export async function probeVfat(window: Window): Promise<FileSystemProbe | undefined> {
  const boot = await window.bytes(0, 512);
  const layout = boot && layoutOf(boot);
  if (boot === undefined || layout === undefined) return undefined;
  const serialAt = layout.fat32 ? SERIAL_32 : SERIAL;
  const serial = boot.subarray(serialAt, serialAt + 4);
  const at = layout.fat32 ? LABEL_32 : LABEL;
  const inBoot = fieldText(boot.subarray(at, at + LABEL_LENGTH));
  const label = (await rootLabel(window, layout)) ?? (inBoot === NO_LABEL ? undefined : inBoot);
  const isUnset = serial.every((byte) => byte === 0);
  return found('vfat', isUnset ? undefined : serialText(serial), label);
}

/** Undefined unless every field of the BIOS parameter block can be one of a FAT. */
function layoutOf(boot: Uint8Array): Layout | undefined {
  const view = new DataView(boot.buffer, boot.byteOffset, boot.length);
  const text = Buffer.from(boot).toString('latin1');
  const named =
    ['MSWIN', 'FAT32   '].some((magic) => text.startsWith(magic, 0x52)) ||
    ['MSDOS', 'FAT16   ', 'FAT12   ', 'FAT     '].some((magic) => text.startsWith(magic, 0x36));
  const jumps = boot[BPB.jump] === 0xeb || boot[BPB.jump] === 0xe9;
  if (!named && !(jumps && view.getUint16(BPB.signature, true) === 0xaa55)) return undefined;
  const sectorSize = view.getUint16(BPB.sectorSize, true);
  const clusterSectors = boot[BPB.clusterSectors]!;
  const reserved = view.getUint16(BPB.reservedSectors, true);
  const tables = boot[BPB.tables]!;
  const media = boot[BPB.media]!;
  const rootEntries = view.getUint16(BPB.rootEntries, true);
  const short = view.getUint16(BPB.tableSectors, true);
  const fat32 = short === 0;
  const tableSectors = fat32 ? view.getUint32(BPB.tableSectors32, true) : short;
  const isPower = (value: number): boolean => value > 0 && (value & (value - 1)) === 0;
  if (![512, 1024, 2048, 4096].includes(sectorSize) || !isPower(clusterSectors) || tables === 0) return undefined;
  if (reserved === 0 || tableSectors === 0 || (media < 0xf8 && media !== 0xf0)) return undefined;
  if (!fat32 && rootEntries === 0) return undefined;
  const tablesAt = reserved * sectorSize;
  const rootAt = tablesAt + tables * tableSectors * sectorSize;
  const rootSize = Math.ceil((rootEntries * ENTRY_SIZE) / sectorSize) * sectorSize;
  return {
    fat32,
    sectorSize,
    clusterSize: clusterSectors * sectorSize,
    tablesAt,
    rootAt,
    rootSize,
    dataAt: rootAt + rootSize,
    rootCluster: fat32 ? view.getUint32(BPB.rootCluster32, true) : 0,
  };
}

/** The label entry of the root directory, which is the one that counts; undefined when there is none. */
async function rootLabel(window: Window, layout: Layout): Promise<string | undefined> {
  if (!layout.fat32) return labelIn(await window.bytes(layout.rootAt, layout.rootSize)).label;
  let cluster = layout.rootCluster;
  for (let i = 0; i < ROOT_LIMIT && cluster >= 2 && cluster < 0x0ffffff0; i++) {
    const bytes = await window.bytes(layout.dataAt + (cluster - 2) * layout.clusterSize, layout.clusterSize);
    const { label, ended } = labelIn(bytes);
    if (label !== undefined || ended) return label;
    const next = await window.bytes(layout.tablesAt + cluster * 4, 4);
    if (next === undefined) return undefined;
    cluster = new DataView(next.buffer, next.byteOffset, 4).getUint32(0, true) & 0x0fffffff;
  }
  return undefined;
}

function labelIn(bytes: Uint8Array | undefined): { label?: string; ended: boolean } {
  if (bytes === undefined) return { ended: true };
  for (let at = 0; at + ENTRY_SIZE <= bytes.length; at += ENTRY_SIZE) {
    const first = bytes[at]!;
    if (first === 0) return { ended: true };
    const attributes = bytes[at + ENTRY_ATTRIBUTES]! & ATTRIBUTE_MASK;
    const isLabel = (attributes & (ATTRIBUTE_LABEL | ATTRIBUTE_DIRECTORY)) === ATTRIBUTE_LABEL;
    if (first === DELETED || attributes === ATTRIBUTE_LONG_NAME || !isLabel) continue;
    const name = bytes.slice(at, at + LABEL_LENGTH);
    if (first === KANJI_E5) name[0] = DELETED;
    return { label: fieldText(name), ended: false };
  }
  return { ended: false };
}
