import type { Awaitable } from '../../disk/block-source.ts';
import { readBytes } from '../../disk/block-source.ts';
import type { FileData, FileExtent } from '../file-tree.ts';
import { be32 } from './bytes.ts';
import { type Run, readRuns } from './extents.ts';
import { FORMAT, type Inode } from './inode.ts';
import { damaged, unsupported } from './problems.ts';
import { remotePart } from './remote.ts';
import type { Volume } from './volume.ts';

/** The longest target (kernel: XFS_SYMLINK_MAXLEN). */
const MAX_SYMLINK = 1024;
const SYMLINK_MAGIC = 0x58534c4d;

/** Where the bytes of a regular file are. @throws FormatError `xfs.unsupported` when they are on a realtime device */
export function fileData(volume: Volume, inode: Inode): Awaitable<FileData> {
  if (inode.realtime && (inode.data.extents > 0 || inode.data.format === FORMAT.btree)) {
    throw unsupported(
      `the data of inode ${inode.number} is on a realtime device, which is not part of this volume`,
      'Copy the file in the guest to a place without the realtime flag (xfs_io -c lsattr shows it as r).',
      { inode: inode.number },
    );
  }
  const runs = readRuns(volume, inode, inode.data);
  if (runs instanceof Promise) return runs.then((read) => mappedData(volume, inode, read));
  return mappedData(volume, inode, runs);
}

/** The runs with data, cut at the end of the file; those that touch on both sides are joined. */
function mappedData(volume: Volume, inode: Inode, runs: readonly Run[]): FileData {
  const { blockSize } = volume.superblock;
  const extents: FileExtent[] = [];
  for (const run of runs) {
    const logical = run.logical * blockSize;
    if (logical >= inode.size) break;
    if (run.unwritten) continue;
    const length = Math.min(run.count * blockSize, inode.size - logical);
    const last = extents.at(-1);
    if (
      last?.logical !== undefined &&
      last.logical + last.length === logical &&
      last.position + last.length === run.position
    ) {
      extents[extents.length - 1] = { ...last, length: last.length + length };
    } else {
      extents.push({ logical, length, position: run.position });
    }
  }
  return { size: inode.size, extents, source: volume.source };
}

/** The target of a symlink: in the inode, or in blocks. */
export function symlinkTarget(volume: Volume, inode: Inode): Awaitable<Uint8Array> {
  const { size, data } = inode;
  if (size === 0 || size > MAX_SYMLINK || (data.format === FORMAT.local && size > data.bytes.length)) {
    throw damaged(`symlink inode ${inode.number}`, `a target of ${size} bytes cannot be`, { inode: inode.number });
  }
  return data.format === FORMAT.local ? data.bytes.slice(0, size) : remoteTarget(volume, inode);
}

async function remoteTarget(volume: Volume, inode: Inode): Promise<Uint8Array> {
  const { blockSize, checked } = volume.superblock;
  const what = `symlink inode ${inode.number}`;
  const target = new Uint8Array(inode.size);
  let at = 0;
  let next = 0;
  for (const run of await readRuns(volume, inode, inode.data)) {
    if (at >= target.length) break;
    if (run.logical !== next || run.unwritten) throw damaged(what, `its block ${next} is missing`);
    // The header of version 5 is at the start of an extent, not of every block as with attributes.
    const most = Math.min(run.count, Math.ceil((2 * MAX_SYMLINK) / blockSize) + 1);
    const bytes = await readBytes(volume.source, run.position, most * blockSize);
    const { position } = run;
    const part = checked
      ? remotePart(volume, bytes, SYMLINK_MAGIC, { position, owner: inode.number, what, at })
      : bytes;
    const length = Math.min(part.length, target.length - at);
    target.set(part.subarray(0, length), at);
    at += length;
    next = run.logical + run.count;
  }
  if (at < target.length) throw damaged(what, `it has ${at} of the ${target.length} bytes of its target`);
  return target;
}

const MINOR_BITS = 18;

/** The device number of a `character` or `block` inode: 14 bits of major and 18 of minor, as System V had them. */
export function deviceNumber(inode: Inode): { readonly major: number; readonly minor: number } {
  if (inode.data.format !== FORMAT.device) {
    throw damaged(`inode ${inode.number}`, 'it is a device without a number', { inode: inode.number });
  }
  const number = be32(inode.data.bytes, 0);
  return { major: number >>> MINOR_BITS, minor: number & (2 ** MINOR_BITS - 1) };
}
