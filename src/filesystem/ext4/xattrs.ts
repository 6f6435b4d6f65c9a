import type { Awaitable } from '../../disk/block-source.ts';
import type { Xattr } from '../file-tree.ts';
import { aclValue } from './acl.ts';
import { u16, u32 } from './bytes.ts';
import { xattrBlockChecksum } from './checksum.ts';
import type { Inode } from './inode.ts';
import { badChecksum, damaged, unsupported } from './problems.ts';
import { readBlock, type Volume } from './volume.ts';

/** Extended attributes in the inode and in a block (kernel: Documentation/filesystems/ext4/attributes.rst). */

export const XATTR_MAGIC = 0xea020000;
export const XATTR_BLOCK = { magic: 0, references: 4, blocks: 8, checksum: 16, entries: 32 } as const;
/** Of an inode: the magic, then the entries. */
export const XATTR_INODE_ENTRIES = 4;
export const XATTR_ENTRY = {
  nameLength: 0,
  index: 1,
  valueAt: 2,
  valueInode: 4,
  valueSize: 8,
  hash: 12,
  name: 16,
} as const;

export const INDEX_SYSTEM = 7;
const INDEX_ACL_ACCESS = 2;
const INDEX_ACL_DEFAULT = 3;
const INDEX_ENCRYPTION = 9;

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const PREFIXES: Readonly<Record<number, Uint8Array>> = {
  0: ascii(''),
  1: ascii('user.'),
  [INDEX_ACL_ACCESS]: ascii('system.posix_acl_access'),
  [INDEX_ACL_DEFAULT]: ascii('system.posix_acl_default'),
  4: ascii('trusted.'),
  5: ascii('lustre.'),
  6: ascii('security.'),
  [INDEX_SYSTEM]: ascii('system.'),
  8: ascii('system.richacl'),
  10: ascii('gnu.'),
};
const DATA = ascii('data');

/** One attribute as it is stored. */
export interface RawXattr {
  /** Where its entry begins, in the bytes it was read from. */
  readonly at: number;
  readonly index: number;
  readonly name: Uint8Array;
  /** Empty when `valueInode` is set. */
  readonly value: Uint8Array;
  readonly valueSize: number;
  /** The inode that holds the value (ea_inode), or 0. */
  readonly valueInode: number;
}

/** Reads the content of an inode that holds the value of an attribute. */
export type ReadValue = (inode: number, size: number) => Promise<Uint8Array>;

/**
 * Every attribute of `inode`, sorted by name, as getxattr gives them.
 * @throws FormatError `ext4.damaged`, `ext4.checksum`; `ext4.unsupported` for a name index nobody has defined
 */
export function readXattrs(volume: Volume, inode: Inode, readValue: ReadValue): Awaitable<readonly Xattr[]> {
  const own = inodeXattrs(inode);
  if (inode.xattrBlock === 0) return own.length === 0 ? NONE : present(inode, own, readValue);
  const block = xattrBlock(volume, inode);
  if (block instanceof Promise) return block.then((raw) => present(inode, [...own, ...raw], readValue));
  return present(inode, [...own, ...block], readValue);
}

const NONE: readonly Xattr[] = [];

/** The attributes kept in the inode itself. */
export function inodeXattrs(inode: Inode): RawXattr[] {
  const { bytes, xattrStart } = inode;
  if (xattrStart + XATTR_INODE_ENTRIES > bytes.length || u32(bytes, xattrStart) !== XATTR_MAGIC) return [];
  const first = xattrStart + XATTR_INODE_ENTRIES;
  return parseEntries(`inode ${inode.number}`, bytes, first, first);
}

/** The attributes in the block of their own. */
export function xattrBlock(volume: Volume, inode: Inode): Awaitable<RawXattr[]> {
  const number = inode.xattrBlock;
  const what = `attribute block ${number} of inode ${inode.number}`;
  const block = readBlock(volume, number, what);
  const parse = (bytes: Uint8Array): RawXattr[] => {
    checkXattrBlock(volume, number, bytes, what);
    return parseEntries(what, bytes, XATTR_BLOCK.entries, 0);
  };
  return block instanceof Promise ? block.then(parse) : parse(block);
}

function checkXattrBlock(volume: Volume, number: number, bytes: Uint8Array, what: string): void {
  if (u32(bytes, XATTR_BLOCK.magic) !== XATTR_MAGIC || u32(bytes, XATTR_BLOCK.blocks) !== 1) {
    throw damaged(what, 'it does not begin like one', { block: number });
  }
  if (!volume.superblock.metadataCsum) return;
  const stored = u32(bytes, XATTR_BLOCK.checksum);
  const computed = xattrBlockChecksum(volume.superblock.checksumSeed, number, bytes, XATTR_BLOCK.checksum);
  if (stored !== computed) throw badChecksum(what, stored, computed, { block: number });
}

function parseEntries(what: string, bytes: Uint8Array, first: number, valueBase: number): RawXattr[] {
  const found: RawXattr[] = [];
  let at = first;
  while (at + 4 <= bytes.length && u32(bytes, at) !== 0) {
    const nameAt = at + XATTR_ENTRY.name;
    const nameLength = bytes[at + XATTR_ENTRY.nameLength]!;
    const next = (nameAt + nameLength + 3) & ~3;
    if (next + 4 > bytes.length) throw damaged(what, 'its list of attributes has no end');
    const valueSize = u32(bytes, at + XATTR_ENTRY.valueSize);
    const valueInode = u32(bytes, at + XATTR_ENTRY.valueInode);
    const valueAt = valueBase + u16(bytes, at + XATTR_ENTRY.valueAt);
    if (valueInode === 0 && valueSize > 0 && (valueAt < next || valueAt + valueSize > bytes.length)) {
      throw damaged(what, `the value of an attribute, ${valueSize} bytes at ${valueAt}, does not lie in it`);
    }
    found.push({
      at,
      index: bytes[at + XATTR_ENTRY.index]!,
      name: bytes.subarray(nameAt, nameAt + nameLength),
      value: valueInode === 0 ? bytes.subarray(valueAt, valueAt + valueSize) : EMPTY,
      valueSize,
      valueInode,
    });
    at = next;
  }
  if (at + 4 > bytes.length) throw damaged(what, 'its list of attributes has no end');
  return found;
}

const EMPTY = new Uint8Array(0);

/** True for the attribute that holds the rest of inline data. */
export function isInlineData(raw: RawXattr): boolean {
  return raw.index === INDEX_SYSTEM && raw.name.length === DATA.length && raw.name.every((byte, i) => byte === DATA[i]);
}

/** The stored attributes with their full names and values; the first of two with one name counts, as in the kernel. */
function present(inode: Inode, raw: readonly RawXattr[], readValue: ReadValue): Awaitable<Xattr[]> {
  const shown = raw.filter((one) => !isInlineData(one) && one.index !== INDEX_ENCRYPTION);
  if (shown.some((one) => one.valueInode !== 0)) return presentLater(inode, shown, readValue);
  return sorted(shown.map((one) => toXattr(inode, one, one.value)));
}

async function presentLater(inode: Inode, raw: readonly RawXattr[], readValue: ReadValue): Promise<Xattr[]> {
  const out: Xattr[] = [];
  for (const one of raw) {
    const value = one.valueInode === 0 ? one.value : await readValue(one.valueInode, one.valueSize);
    out.push(toXattr(inode, one, value));
  }
  return sorted(out);
}

function sorted(xattrs: Xattr[]): Xattr[] {
  if (xattrs.length < 2) return xattrs;
  const order = xattrs.sort((a, b) => Buffer.compare(a.name, b.name));
  return order.filter((one, i) => i === 0 || Buffer.compare(one.name, order[i - 1]!.name) !== 0);
}

function toXattr(inode: Inode, raw: RawXattr, value: Uint8Array): Xattr {
  const prefix = PREFIXES[raw.index];
  if (prefix === undefined) {
    throw unsupported(
      'read the ext4 file system',
      `an attribute of inode ${inode.number} is in name space ${raw.index}, which has no name`,
      'Remove the attribute in the guest; the kernel hides it too.',
      { inode: inode.number, index: raw.index },
    );
  }
  const name = new Uint8Array(prefix.length + raw.name.length);
  name.set(prefix);
  name.set(raw.name, prefix.length);
  const isAcl = raw.index === INDEX_ACL_ACCESS || raw.index === INDEX_ACL_DEFAULT;
  return { name, value: isAcl ? aclValue(inode.number, value) : value.slice() };
}
