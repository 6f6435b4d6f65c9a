import { be16, be32 } from './bytes.ts';
import type { HeaderLayout } from './header.ts';
import { damaged } from './problems.ts';
import type { Superblock } from './superblock.ts';

/** Attributes as they are stored: in the inode, or in leaf blocks (kernel: fs/xfs/libxfs/xfs_da_format.h). */

export const ATTRIBUTE_FLAG = { local: 0x01, root: 0x02, secure: 0x04, parent: 0x08, incomplete: 0x80 } as const;

/** One attribute. */
export interface RawAttribute {
  readonly flags: number;
  readonly name: Uint8Array;
  /** Undefined when it is in blocks of its own. */
  readonly value: Uint8Array | undefined;
  /** Of those blocks: the first one, and the bytes of the value. */
  readonly valueBlock: number;
  readonly valueSize: number;
}

const SHORT = { total: 0, count: 2, entries: 4 } as const;
const SHORT_ENTRY = { nameLength: 0, valueLength: 1, flags: 2, name: 3 } as const;

/** The attributes kept in the inode. */
export function parseShortAttributes(what: string, bytes: Uint8Array): RawAttribute[] {
  const total = bytes.length < SHORT.entries ? 0 : be16(bytes, SHORT.total);
  if (total < SHORT.entries || total > bytes.length) throw damaged(what, `${total} bytes do not fit into the inode`);
  const found: RawAttribute[] = [];
  let at: number = SHORT.entries;
  for (let i = 0; i < bytes[SHORT.count]!; i++) {
    const name = at + SHORT_ENTRY.name;
    const value = name + (name <= total ? bytes[at + SHORT_ENTRY.nameLength]! : total);
    const end = value + (value <= total ? bytes[at + SHORT_ENTRY.valueLength]! : total);
    if (end > total) throw damaged(what, 'an attribute is cut off');
    found.push({
      flags: bytes[at + SHORT_ENTRY.flags]!,
      name: bytes.slice(name, value),
      value: bytes.slice(value, end),
      valueBlock: 0,
      valueSize: end - value,
    });
    at = end;
  }
  return found;
}

/** What leaf blocks and the nodes above them begin with. */
export const NODE_INFO = { forward: 0, magic: 8 } as const;
export const NODE_LAYOUT: HeaderLayout = { checksum: 12, sector: 16, uuid: 32, owner: 48, ownerBytes: 8 };

interface LeafShape {
  readonly count: number;
  readonly entries: number;
}
const OLD_LEAF: LeafShape = { count: 12, entries: 32 };
const LEAF: LeafShape = { count: 56, entries: 80 };
const ENTRY = { size: 8, name: 4, flags: 6 } as const;
const LOCAL = { valueLength: 0, nameLength: 2, name: 3 } as const;
const REMOTE = { valueBlock: 0, valueLength: 4, nameLength: 8, name: 9 } as const;

/** The attributes of one leaf block. */
export function parseLeaf(superblock: Superblock, what: string, bytes: Uint8Array): RawAttribute[] {
  const shape = superblock.checked ? LEAF : OLD_LEAF;
  const count = be16(bytes, shape.count);
  const first = shape.entries + count * ENTRY.size;
  if (first > bytes.length) throw damaged(what, `an index of ${count} does not fit into its block`);
  const found: RawAttribute[] = [];
  let used = first;
  for (let i = 0; i < count; i++) {
    const at = shape.entries + i * ENTRY.size;
    // A block of 64 KiB counts to its end in 16 bits, as no name begins at byte 0.
    const name = be16(bytes, at + ENTRY.name);
    const flags = bytes[at + ENTRY.flags]!;
    const parse = (flags & ATTRIBUTE_FLAG.local) !== 0 ? parseLocal : parseRemote;
    const one = parse(bytes, name, flags);
    // Attributes do not share bytes; if they did, a damaged block could stand for more than fits into memory.
    used += one === undefined ? 0 : one.name.length + (one.value?.length ?? 0);
    if (one === undefined || name < first || used > bytes.length) {
      throw damaged(what, `the attribute at byte ${name} does not lie in its block`);
    }
    found.push(one);
  }
  return found;
}

function parseLocal(bytes: Uint8Array, at: number, flags: number): RawAttribute | undefined {
  const nameAt = at + LOCAL.name;
  if (nameAt > bytes.length) return undefined;
  const value = nameAt + bytes[at + LOCAL.nameLength]!;
  const end = value + be16(bytes, at + LOCAL.valueLength);
  if (end > bytes.length) return undefined;
  const name = bytes.slice(nameAt, value);
  return { flags, name, value: bytes.slice(value, end), valueBlock: 0, valueSize: end - value };
}

function parseRemote(bytes: Uint8Array, at: number, flags: number): RawAttribute | undefined {
  const nameAt = at + REMOTE.name;
  if (nameAt > bytes.length) return undefined;
  const end = nameAt + bytes[at + REMOTE.nameLength]!;
  if (end > bytes.length) return undefined;
  return {
    flags,
    name: bytes.slice(nameAt, end),
    value: undefined,
    valueBlock: be32(bytes, at + REMOTE.valueBlock),
    valueSize: be32(bytes, at + REMOTE.valueLength),
  };
}
