import { crc32cRegister } from '../formats/crc32c.ts';
import { type FileSystemProbe, fieldText, found, hex, type Window } from './probe-window.ts';
import { uuidText } from './uuid.ts';

/** Probes for what needs more than one magic number; each answers undefined when it is something else. */

const EXT = { position: 1024, size: 1024, magic: 0x38, compat: 0x5c, incompat: 0x60, roCompat: 0x64 } as const;
const EXT_MAGIC = 0xef53;
const EXT_UUID = 0x68;
const EXT_LABEL = 0x78;
const EXT_CHECKSUM = 0x3fc;
const EXT_HAS_JOURNAL = 0x4;
const EXT_JOURNAL_DEV = 0x8;
const EXT_METADATA_CSUM = 0x400;
/** sparse_super, large_file, btree_dir; filetype, recover, meta_bg: libblkid counts any other feature as ext4. */
const EXT3_RO_COMPAT = 0x7;
const EXT3_INCOMPAT = 0x2 | 0x4 | 0x10;

export async function probeExt(window: Window): Promise<FileSystemProbe | undefined> {
  const bytes = await window.bytes(EXT.position, EXT.size);
  if (bytes === undefined) return undefined;
  const view = viewOf(bytes);
  if (view.getUint16(EXT.magic, true) !== EXT_MAGIC) return undefined;
  const roCompat = view.getUint32(EXT.roCompat, true);
  const incompat = view.getUint32(EXT.incompat, true);
  const checked = (roCompat & EXT_METADATA_CSUM) !== 0;
  const stored = view.getUint32(EXT_CHECKSUM, true);
  if (checked && crc32cRegister(0xffffffff, bytes, 0, EXT_CHECKSUM) !== stored) return undefined;
  return found(
    extKind(view.getUint32(EXT.compat, true), incompat, roCompat),
    uuidText(bytes, EXT_UUID),
    fieldText(bytes.subarray(EXT_LABEL, EXT_LABEL + 16)),
  );
}

function extKind(compat: number, incompat: number, roCompat: number): string {
  if ((incompat & EXT_JOURNAL_DEV) !== 0) return 'jbd';
  if ((roCompat & ~EXT3_RO_COMPAT) !== 0 || (incompat & ~EXT3_INCOMPAT) !== 0) return 'ext4';
  return (compat & EXT_HAS_JOURNAL) !== 0 ? 'ext3' : 'ext2';
}

export async function probeXfs(window: Window): Promise<FileSystemProbe | undefined> {
  const bytes = await window.bytes(0, 128);
  if (bytes === undefined || !(await window.holds(0, 'XFSB'))) return undefined;
  return found('xfs', uuidText(bytes, 32), fieldText(bytes.subarray(108, 120)));
}

export async function probeBtrfs(window: Window): Promise<FileSystemProbe | undefined> {
  const superblock = 0x10000;
  if (!(await window.holds(superblock + 0x40, '_BHRfS_M'))) return undefined;
  const bytes = (await window.bytes(superblock, 4096))!;
  return found('btrfs', uuidText(bytes, 0x20), fieldText(bytes.subarray(0x12b, 0x12b + 256)));
}

const SWAP_PAGES = [4096, 8192, 16384, 32768, 65536];
const SWAP_MAGICS: Readonly<Record<string, string>> = {
  'SWAP-SPACE': 'swap',
  SWAPSPACE2: 'swap',
  'S1SUSPEND\0': 'swsuspend',
  'S2SUSPEND\0': 'swsuspend',
  'ULSUSPEND\0': 'swsuspend',
  LINHIB0001: 'swsuspend',
};

export async function probeSwap(window: Window): Promise<FileSystemProbe | undefined> {
  for (const page of SWAP_PAGES) {
    const magic = await window.bytes(page - 10, 10);
    const kind = magic === undefined ? undefined : SWAP_MAGICS[Buffer.from(magic).toString('latin1')];
    if (kind === undefined) continue;
    const header = await window.bytes(1024, 44);
    const versioned = viewOf(header!).getUint32(0, true) === 1;
    if (!versioned) return found(kind);
    return found(kind, uuidText(header!, 12), fieldText(header!.subarray(28, 44)));
  }
  return undefined;
}

export async function probeLvm(window: Window): Promise<FileSystemProbe | undefined> {
  for (let sector = 0; sector < 4; sector++) {
    const label = await window.bytes(sector * 512, 512);
    if (label === undefined || !(await window.holds(sector * 512, 'LABELONE'))) continue;
    if (!(await window.holds(sector * 512 + 24, 'LVM2 001'))) continue;
    const offset = viewOf(label).getUint32(20, true);
    const id = offset + 32 <= 512 ? Buffer.from(label.subarray(offset, offset + 32)).toString('latin1') : '';
    return found('LVM2_member', id.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/, '$1-$2-$3-$4-$5-$6-$7'));
  }
  return undefined;
}

export async function probeLuks(window: Window): Promise<FileSystemProbe | undefined> {
  const bytes = await window.bytes(0, 4096);
  if (bytes === undefined || !(await window.holds(0, 'LUKS\xba\xbe'))) return undefined;
  const version = viewOf(bytes).getUint16(6);
  const uuid = fieldText(bytes.subarray(168, 208));
  return found('crypto_LUKS', uuid, version === 2 ? fieldText(bytes.subarray(24, 72)) : undefined);
}

/** The label is of the volume descriptor; the UUID is its time of last change, or of creation where that is unset. */
export async function probeIso9660(window: Window): Promise<FileSystemProbe | undefined> {
  const position = 16 * 2048;
  const bytes = await window.bytes(position, 2048);
  if (bytes === undefined || !(await window.holds(position, '\x01CD001\x01'))) return undefined;
  const time = [830, 813]
    .map((at) => Buffer.from(bytes.subarray(at, at + 16)).toString('latin1'))
    .find((text) => /^\d{16}$/.test(text) && /[1-9]/.test(text));
  const uuid = time?.replace(/^(.{4})(..)(..)(..)(..)(..)(..)$/, '$1-$2-$3-$4-$5-$6-$7');
  return found('iso9660', uuid, fieldText(bytes.subarray(40, 72)));
}

const NTFS_VOLUME_RECORD = 3;
const NTFS_ATTRIBUTE_NAME = 0x60;
const NTFS_ATTRIBUTE_END = 0xffffffff;

export async function probeNtfs(window: Window): Promise<FileSystemProbe | undefined> {
  const boot = await window.bytes(0, 512);
  if (boot === undefined || !(await window.holds(3, 'NTFS    '))) return undefined;
  const view = viewOf(boot);
  const serial = hex(view.getUint32(0x4c, true), 8) + hex(view.getUint32(0x48, true), 8);
  return found('ntfs', serial, await ntfsLabel(window, view));
}

/** The name attribute in the record of $Volume. */
async function ntfsLabel(window: Window, boot: DataView): Promise<string | undefined> {
  const clusterSize = boot.getUint16(11, true) * boot.getUint8(13);
  const stored = boot.getInt8(0x40);
  const recordSize = stored > 0 ? stored * clusterSize : 2 ** -stored;
  const table = Number(boot.getBigUint64(0x30, true)) * clusterSize;
  if (recordSize < 512 || recordSize > 65536 || !Number.isSafeInteger(table)) return undefined;
  const record = await window.bytes(table + NTFS_VOLUME_RECORD * recordSize, recordSize);
  if (record === undefined || Buffer.from(record.subarray(0, 4)).toString('latin1') !== 'FILE') return undefined;
  const view = viewOf(record);
  for (let at = view.getUint16(20, true); at + 24 <= recordSize; ) {
    const type = view.getUint32(at, true);
    const length = view.getUint32(at + 4, true);
    if (type === NTFS_ATTRIBUTE_END || length < 24) return undefined;
    if (type === NTFS_ATTRIBUTE_NAME) {
      const start = at + view.getUint16(at + 20, true);
      const end = start + view.getUint32(at + 16, true);
      return end <= recordSize ? new TextDecoder('utf-16le').decode(record.subarray(start, end)) : undefined;
    }
    at += length;
  }
  return undefined;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
