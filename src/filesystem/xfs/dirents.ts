import type { NamedInode } from '../name-list.ts';
import { be16, be32, be64 } from './bytes.ts';
import { damaged } from './problems.ts';
import type { Superblock } from './superblock.ts';

/** The entries of version 2 directories (kernel: fs/xfs/libxfs/xfs_da_format.h). */

const DOT = 0x2e;
const SLASH = 0x2f;

/** In the inode: numbers of entries, and of those whose inode number is long; then the parent. */
const SHORT = { count: 0, longCount: 1, parent: 2, name: 3 } as const;

/** The names of a directory that is kept in its inode, which has no "." and "..". */
export function parseShortForm(superblock: Superblock, inode: number, bytes: Uint8Array, size: number): NamedInode[] {
  const what = `directory inode ${inode}`;
  const fail = (why: string) => damaged(what, why, { inode });
  if (size > bytes.length || size < SHORT.parent + 4) throw fail(`its ${size} bytes do not fit into the inode`);
  const count = bytes[SHORT.count]!;
  const numberSize = bytes[SHORT.longCount] === 0 ? 4 : 8;
  const type = superblock.ftype ? 1 : 0;
  const found: NamedInode[] = [];
  let at = SHORT.parent + numberSize;
  for (let i = 0; i < count; i++) {
    const nameAt = at + SHORT.name;
    const length = at < size ? bytes[at]! : 0;
    const numberAt = nameAt + length + type;
    if (length === 0 || numberAt + numberSize > size) throw fail('its entries do not fit into it');
    const name = bytes.slice(nameAt, nameAt + length);
    checkName(what, name);
    found.push({ name, inode: numberSize === 4 ? be32(bytes, numberAt) : be64(bytes, numberAt) });
    at = numberAt + numberSize;
  }
  if (at !== size) throw fail(`its entries take ${at} bytes of its ${size}`);
  return found;
}

const ENTRY = { inode: 0, length: 8, name: 9 } as const;
const UNUSED = { tag: 0, length: 2 } as const;
const UNUSED_TAG = 0xffff;
const ALIGN = 8;
const TAG_SIZE = 2;

/** The names between `start` and `end` of a directory block, but for "." and "..". */
export function parseDirents(
  superblock: Superblock,
  inode: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): NamedInode[] {
  const found: NamedInode[] = [];
  const what = `directory inode ${inode}`;
  const type = superblock.ftype ? 1 : 0;
  for (let at = start; at < end; ) {
    if (at + ALIGN > end) throw damaged(what, `an entry at byte ${at} of a block is cut off`, { inode });
    if (be16(bytes, at + UNUSED.tag) === UNUSED_TAG) {
      const length = be16(bytes, at + UNUSED.length);
      if (length === 0 || length % ALIGN !== 0 || at + length > end) {
        throw damaged(what, `a free space of ${length} bytes at byte ${at} of a block cannot be`, { inode });
      }
      at += length;
      continue;
    }
    const length = at + ENTRY.name < end ? bytes[at + ENTRY.length]! : 0;
    const nameAt = at + ENTRY.name;
    const used = nameAt + length + type + TAG_SIZE;
    const next = at + Math.ceil((used - at) / ALIGN) * ALIGN;
    if (length === 0 || next > end) throw damaged(what, `an entry at byte ${at} of a block is cut off`, { inode });
    if (be16(bytes, next - TAG_SIZE) !== at) {
      throw damaged(what, `the entry at byte ${at} of a block says it is elsewhere`, { inode });
    }
    const name = bytes.subarray(nameAt, nameAt + length);
    if (!isDots(name)) {
      checkName(what, name);
      found.push({ name, inode: be64(bytes, at + ENTRY.inode) });
    }
    at = next;
  }
  return found;
}

function isDots(name: Uint8Array): boolean {
  return name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT));
}

function checkName(what: string, name: Uint8Array): void {
  if (!isDots(name) && !name.includes(SLASH) && !name.includes(0)) return;
  throw damaged(what, `${JSON.stringify(Buffer.from(name).toString())} is no name`);
}
