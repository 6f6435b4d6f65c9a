/** VirtualBox disk images of version 1.1 (VirtualBox, src/VBox/Storage/VDICore.h). Numbers are little-endian. */

import { BLOCK_TABLE_LIMIT, type BlockMap, type ReadImage, viewAt } from './block-map.ts';

const HEADER_LENGTH = 512;
const VERSION_1_1 = 0x0001_0001;
const FIELD = {
  signature: 64,
  version: 68,
  type: 76,
  mapOffset: 340,
  dataOffset: 344,
  sectorSize: 360,
  diskSize: 368,
  blockSize: 376,
  blockExtra: 380,
  blocks: 384,
  linkId: 424,
  parentId: 440,
} as const;
const SIGNATURE = 0xbeda107f;
const TYPE = { dynamic: 1, fixed: 2 };
const SECTOR = 512;
/** Entries that are no number of a block: never written, and written with zeros. */
const FIRST_SPECIAL = 0xffff_fffe;
const GUID_WORDS = 4;

/**
 * Where the blocks of a VDI are; undefined for an image that is another's child, of another version, or not what it
 * should be: QEMU judges those.
 */
export async function readVdi(read: ReadImage): Promise<BlockMap | undefined> {
  const header = await viewAt(read, 0, HEADER_LENGTH);
  if (header === undefined) return undefined;
  const field = (at: number): number => header.getUint32(at, true);
  const type = field(FIELD.type);
  if (field(FIELD.signature) !== SIGNATURE || field(FIELD.version) !== VERSION_1_1) return undefined;
  if ((type !== TYPE.dynamic && type !== TYPE.fixed) || isSet(header, FIELD.linkId) || isSet(header, FIELD.parentId)) {
    return undefined;
  }
  const blocks = field(FIELD.blocks);
  const blockSize = field(FIELD.blockSize);
  const dataOffset = field(FIELD.dataOffset);
  const declared = Number(header.getBigUint64(FIELD.diskSize, true));
  const size = Math.ceil(declared / SECTOR) * SECTOR;
  const plain = field(FIELD.sectorSize) === SECTOR && field(FIELD.blockExtra) === 0 && dataOffset % SECTOR === 0;
  if (!plain || blockSize === 0 || blockSize % SECTOR !== 0 || blocks * 4 > BLOCK_TABLE_LIMIT) return undefined;
  if (!Number.isSafeInteger(declared) || declared > blocks * blockSize) return undefined;
  const map = await viewAt(read, field(FIELD.mapOffset), blocks * 4);
  if (map === undefined) return undefined;
  return {
    size,
    blockSize,
    offsetOf: (index) => {
      const entry = map.getUint32(index * 4, true);
      return entry >= FIRST_SPECIAL ? undefined : dataOffset + entry * blockSize;
    },
  };
}

function isSet(header: DataView, at: number): boolean {
  for (let word = 0; word < GUID_WORDS; word++) if (header.getUint32(at + 4 * word) !== 0) return true;
  return false;
}
