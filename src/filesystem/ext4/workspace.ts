import { high32, isSet, setU16, setU32, u16 } from './bytes.ts';
import { bitmapChecksum, inodeChecksum, inodeSeed, storeInodeChecksum } from './checksum.ts';
import { BLOCK_UNINIT, blocksIn, descriptorBlock, descriptorChecksum, GD, INODE_UNINIT } from './groups.ts';
import { inodePosition } from './inode.ts';
import { badChecksum, damaged } from './problems.ts';
import { SB, SUPERBLOCK_POSITION, SUPERBLOCK_SIZE, superblockChecksum } from './superblock.ts';
import type { Volume } from './volume.ts';

/** What changed in one group, to be written into its descriptor at the end. */
interface GroupChange {
  freeClusters: number;
  freeInodes: number;
  usedDirs: number;
}

type Bitmap = 'block' | 'inode';

/**
 * Blocks of a volume that are being changed, in memory. Nothing is written to the volume; `finish` brings counts and
 * checksums up to date, after which `blocks` is what has to lie over the volume.
 */
export class Workspace {
  readonly volume: Volume;
  readonly blocks = new Map<number, Uint8Array>();
  /** What was freed here, bytes from the start of the volume. */
  readonly freed: { position: number; length: number }[] = [];
  readonly #changes = new Map<number, GroupChange>();

  constructor(volume: Volume) {
    this.volume = volume;
  }

  /** Block `number`, to be written to. */
  async block(number: number): Promise<Uint8Array> {
    const held = this.blocks.get(number);
    if (held !== undefined) return held;
    const bytes = await this.read(number);
    const own = bytes.slice();
    this.blocks.set(number, own);
    return own;
  }

  /** Block `number` as it is now, for reading only. */
  async read(number: number): Promise<Uint8Array> {
    const size = this.volume.superblock.blockSize;
    return (
      this.blocks.get(number) ??
      this.volume.cache.peek(number * size, size) ??
      this.volume.cache.load(number * size, size)
    );
  }

  /** Changes inode `number` and renews its checksum. */
  async changeInode(number: number, change: (bytes: Uint8Array) => void): Promise<void> {
    const { superblock } = this.volume;
    const position = inodePosition(this.volume, number);
    const block = await this.block(Math.floor(position / superblock.blockSize));
    const start = position % superblock.blockSize;
    const bytes = block.subarray(start, start + superblock.inodeSize);
    change(bytes);
    if (!superblock.metadataCsum) return;
    storeInodeChecksum(bytes, inodeChecksum(inodeSeed(superblock.checksumSeed, number, bytes), bytes));
  }

  /** Wipes inode `number` and marks it free. */
  async freeInode(number: number, isDirectory: boolean): Promise<void> {
    const { superblock } = this.volume;
    const position = inodePosition(this.volume, number);
    const block = await this.block(Math.floor(position / superblock.blockSize));
    const start = position % superblock.blockSize;
    block.fill(0, start, start + superblock.inodeSize);
    const group = Math.floor((number - 1) / superblock.inodesPerGroup);
    await this.#clear('inode', group, (number - 1) % superblock.inodesPerGroup, `inode ${number}`);
    const change = this.#change(group);
    change.freeInodes++;
    if (isDirectory) change.usedDirs--;
  }

  /** Marks the cluster that holds block `number` free. */
  async freeCluster(number: number): Promise<void> {
    const { blockSize, blocksCount, firstDataBlock, blocksPerGroup, clusterRatio } = this.volume.superblock;
    const relative = number - firstDataBlock;
    const group = Math.floor(relative / blocksPerGroup);
    await this.#clear('block', group, Math.floor((relative % blocksPerGroup) / clusterRatio), `block ${number}`);
    this.#change(group).freeClusters++;
    const start = number - (relative % clusterRatio);
    const position = start * blockSize;
    const length = Math.min(clusterRatio, blocksCount - start) * blockSize;
    const last = this.freed.at(-1);
    if (last !== undefined && last.position + last.length === position) last.length += length;
    else this.freed.push({ position, length });
  }

  /** The bitmap of a group as it is now, checked; undefined when the group never used it. */
  async bitmap(kind: Bitmap, group: number): Promise<Uint8Array | undefined> {
    const { groups } = this.volume;
    if ((groups.flags(group) & (kind === 'block' ? BLOCK_UNINIT : INODE_UNINIT)) !== 0) return undefined;
    const number = kind === 'block' ? groups.blockBitmap(group) : groups.inodeBitmap(group);
    const held = this.blocks.get(number);
    if (held !== undefined) return held;
    const bytes = await this.read(number);
    this.#verify(kind, group, bytes);
    return bytes;
  }

  /** Brings descriptors, superblock and their checksums up to date. */
  async finish(): Promise<void> {
    const { superblock } = this.volume;
    if (this.#changes.size === 0) return;
    const perBlock = superblock.blockSize / superblock.descriptorSize;
    let freeClusters = 0;
    let freeInodes = 0;
    for (let group = 0; group < superblock.groupsCount; group++) {
      const change = this.#changes.get(group);
      let bytes = this.volume.groups.descriptor(group);
      if (change !== undefined) {
        const block = await this.block(descriptorBlock(superblock, Math.floor(group / perBlock)));
        const start = (group % perBlock) * superblock.descriptorSize;
        bytes = block.subarray(start, start + superblock.descriptorSize);
        await this.#writeDescriptor(group, bytes, change);
      }
      freeClusters += this.#count(bytes, GD.freeBlocks, GD.freeBlocksHigh);
      freeInodes += this.#count(bytes, GD.freeInodes, GD.freeInodesHigh);
    }
    await this.#writeSuperblock(freeClusters * superblock.clusterRatio, freeInodes);
  }

  async #writeDescriptor(group: number, bytes: Uint8Array, change: GroupChange): Promise<void> {
    this.#add(bytes, GD.freeBlocks, GD.freeBlocksHigh, change.freeClusters);
    this.#add(bytes, GD.freeInodes, GD.freeInodesHigh, change.freeInodes);
    this.#add(bytes, GD.usedDirs, GD.usedDirsHigh, change.usedDirs);
    if (this.volume.superblock.metadataCsum) {
      for (const kind of ['block', 'inode'] as const) {
        const bitmap = await this.bitmap(kind, group);
        if (bitmap === undefined) continue;
        const checksum = this.#bitmapChecksum(kind, bitmap);
        const [low, high] = CHECKSUM_PLACES[kind];
        setU16(bytes, low, checksum & 0xffff);
        if (this.#large) setU16(bytes, high, checksum >>> 16);
      }
    }
    const checksum = descriptorChecksum(this.volume.superblock, group, bytes);
    if (checksum !== undefined) setU16(bytes, GD.checksum, checksum);
  }

  async #writeSuperblock(freeBlocks: number, freeInodes: number): Promise<void> {
    const { blockSize, metadataCsum } = this.volume.superblock;
    const block = await this.block(Math.floor(SUPERBLOCK_POSITION / blockSize));
    const start = SUPERBLOCK_POSITION % blockSize;
    const bytes = block.subarray(start, start + SUPERBLOCK_SIZE);
    setU32(bytes, SB.freeBlocksLow, freeBlocks % 0x1_0000_0000);
    if (high32(freeBlocks) > 0) setU32(bytes, SB.freeBlocksHigh, high32(freeBlocks));
    setU32(bytes, SB.freeInodes, freeInodes);
    if (metadataCsum) setU32(bytes, SB.checksum, superblockChecksum(bytes));
  }

  async #clear(kind: Bitmap, group: number, bit: number, what: string): Promise<void> {
    const number = kind === 'block' ? this.volume.groups.blockBitmap(group) : this.volume.groups.inodeBitmap(group);
    let bytes = this.blocks.get(number);
    if (bytes === undefined) {
      if ((await this.bitmap(kind, group)) === undefined) throw freeTwice(what, group);
      bytes = await this.block(number);
    }
    const mask = 1 << (bit & 7);
    if ((bytes[bit >>> 3]! & mask) === 0) throw freeTwice(what, group);
    bytes[bit >>> 3]! ^= mask;
  }

  #change(group: number): GroupChange {
    let change = this.#changes.get(group);
    if (change === undefined) {
      change = { freeClusters: 0, freeInodes: 0, usedDirs: 0 };
      this.#changes.set(group, change);
    }
    return change;
  }

  #verify(kind: Bitmap, group: number, bytes: Uint8Array): void {
    const { superblock } = this.volume;
    const descriptor = this.volume.groups.descriptor(group);
    // The kernel uses no bitmap that disagrees with its descriptor, and nothing is wiped by such a one here.
    if (kind === 'block') {
      const clusters = Math.ceil(blocksIn(superblock, group) / superblock.clusterRatio);
      let free = 0;
      for (let bit = 0; bit < clusters; bit++) if (!isSet(bytes, bit)) free++;
      const said = this.#count(descriptor, GD.freeBlocks, GD.freeBlocksHigh);
      if (free !== said) {
        throw damaged(`block group ${group}`, `its bitmap shows ${free} free clusters, its descriptor ${said}`, {
          group,
        });
      }
    }
    if (!superblock.metadataCsum) return;
    const [low, high] = CHECKSUM_PLACES[kind];
    const stored = (u16(descriptor, low) | (this.#large ? u16(descriptor, high) << 16 : 0)) >>> 0;
    const computed = this.#bitmapChecksum(kind, bytes);
    if (stored !== computed)
      throw badChecksum(`the ${kind} bitmap of block group ${group}`, stored, computed, { group });
  }

  #bitmapChecksum(kind: Bitmap, bytes: Uint8Array): number {
    const { checksumSeed, clustersPerGroup, inodesPerGroup } = this.volume.superblock;
    const length = (kind === 'block' ? clustersPerGroup : inodesPerGroup) >>> 3;
    const checksum = bitmapChecksum(checksumSeed, bytes, length);
    return this.#large ? checksum : checksum & 0xffff;
  }

  get #large(): boolean {
    return this.volume.superblock.descriptorSize >= 64;
  }

  #count(bytes: Uint8Array, low: number, high: number): number {
    return u16(bytes, low) + (this.#large ? u16(bytes, high) * 0x10000 : 0);
  }

  #add(bytes: Uint8Array, low: number, high: number, amount: number): void {
    const value = this.#count(bytes, low, high) + amount;
    if (value < 0) throw damaged('the group descriptors', 'a count would fall below zero', { value });
    setU16(bytes, low, value & 0xffff);
    if (this.#large) setU16(bytes, high, Math.floor(value / 0x10000));
  }
}

const CHECKSUM_PLACES = {
  block: [GD.blockBitmapChecksum, GD.blockBitmapChecksumHigh],
  inode: [GD.inodeBitmapChecksum, GD.inodeBitmapChecksumHigh],
} as const;

function freeTwice(what: string, group: number): Error {
  return damaged(`the bitmaps of block group ${group}`, `${what} is in use, but marked free`, { group });
}
