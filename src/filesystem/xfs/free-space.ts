import { readBytes } from '../../disk/block-source.ts';
import type { Range } from '../../disk/patched.ts';
import { be16, be32, sameBytes } from './bytes.ts';
import { verifyChecksum } from './checksum.ts';
import { type HeaderLayout, verifyHeader } from './header.ts';
import { damaged } from './problems.ts';
import { blocksInGroup, groupBlockPosition, readBlockAt, type Volume } from './volume.ts';

/**
 * Free blocks: every allocation group has them in a B-tree sorted by block (kernel: fs/xfs/libxfs/xfs_alloc.c, struct
 * xfs_agf).
 */

const GROUP = { magic: 0, version: 4, number: 8, length: 12, root: 16, levels: 28, uuid: 64, checksum: 216 } as const;
const GROUP_MAGIC = 0x58414746;
const NODE = { magic: 0, level: 4, records: 6 } as const;
const OLD_MAGIC = 0x41425442;
const MAGIC = 0x41423342;
const OLD_HEADER = 16;
const HEADER = 56;
const LAYOUT: HeaderLayout = { sector: 16, uuid: 32, owner: 48, ownerBytes: 4, checksum: 52 };
const RECORD = 8;
const POINTER = 4;
/** More than any tree of 2^32 blocks has. */
const MAX_LEVELS = 16;

/**
 * The blocks that nothing uses, in order and not touching. Only true of a clean file system.
 * @throws FormatError `xfs.damaged`, `xfs.checksum`
 */
export async function* freeExtents(volume: Volume): AsyncGenerator<Range> {
  for (let group = 0; group < volume.superblock.groupsCount; group++) {
    const { root, levels } = await readGroup(volume, group);
    yield* walkTree({ volume, group, what: whatOf(group), next: 0 }, root, levels - 1, true);
  }
}

function whatOf(group: number): string {
  return `the free space of allocation group ${group}`;
}

async function readGroup(volume: Volume, group: number): Promise<{ root: number; levels: number }> {
  const { blockSize, sectorSize, groupBlocks, checked, metaUuid } = volume.superblock;
  const bytes = await readBytes(volume.source, group * groupBlocks * blockSize + sectorSize, sectorSize);
  const what = whatOf(group);
  if (be32(bytes, GROUP.magic) !== GROUP_MAGIC || be32(bytes, GROUP.version) !== 1) {
    throw damaged(what, 'it does not begin like one', { group });
  }
  if (checked) {
    verifyChecksum(bytes, GROUP.checksum, what);
    if (!sameBytes(bytes, GROUP.uuid, metaUuid, 0, 16)) throw damaged(what, 'it is of another file system', { group });
  }
  const length = be32(bytes, GROUP.length);
  if (be32(bytes, GROUP.number) !== group || length !== blocksInGroup(volume.superblock, group)) {
    throw damaged(what, `it says it is of group ${be32(bytes, GROUP.number)} with ${length} blocks`, { group });
  }
  const levels = be32(bytes, GROUP.levels);
  if (levels === 0 || levels > MAX_LEVELS) throw damaged(what, `its tree has ${levels} levels`, { group });
  return { root: be32(bytes, GROUP.root), levels };
}

interface Walk {
  readonly volume: Volume;
  readonly group: number;
  readonly what: string;
  /** The first block that a record may still begin at. */
  next: number;
}

/** Records only go up, so that a tree that leads to one block twice ends in an error. */
async function* walkTree(walk: Walk, number: number, level: number, isRoot: boolean): AsyncGenerator<Range> {
  const { volume, group, what } = walk;
  const { checked, blockSize, groupBlocks } = volume.superblock;
  const position = groupBlockPosition(volume, group, number, 1, what);
  const bytes = await readBlockAt(volume, position);
  if (be32(bytes, NODE.magic) !== (checked ? MAGIC : OLD_MAGIC) || be16(bytes, NODE.level) !== level) {
    throw damaged(what, `block ${number} is no node of its tree at level ${level}`, { group });
  }
  verifyHeader(volume.superblock, bytes, LAYOUT, { position, owner: group, what });
  const header = checked ? HEADER : OLD_HEADER;
  const count = be16(bytes, NODE.records);
  const room = Math.floor((blockSize - header) / (level === 0 ? RECORD : RECORD + POINTER));
  if (count > room || (count === 0 && !(isRoot && level === 0))) {
    throw damaged(what, `block ${number} of its tree has ${count} records`, { group });
  }
  if (level > 0) {
    for (let i = 0; i < count; i++) {
      yield* walkTree(walk, be32(bytes, header + room * RECORD + i * POINTER), level - 1, false);
    }
    return;
  }
  for (let at = header; at < header + count * RECORD; at += RECORD) {
    const block = be32(bytes, at);
    const length = be32(bytes, at + 4);
    if (length === 0 || block < walk.next) {
      throw damaged(what, `${length} free blocks at ${block} come where ${walk.next} or more should`, { group });
    }
    groupBlockPosition(volume, group, block, length, what);
    yield { position: (group * groupBlocks + block) * blockSize, length: length * blockSize };
    walk.next = block + length;
  }
}
