import { be16, be32 } from './bytes.ts';
import { damaged } from './problems.ts';

/**
 * POSIX ACLs. XFS stores a count and 12 bytes for each entry, big-endian, in two attributes of the root namespace;
 * getxattr gives version 2 of the kernel's own form: a version and 8 bytes for each (kernel: fs/xfs/xfs_acl.c,
 * uapi/linux/posix_acl_xattr.h).
 */

const STORED_HEADER = 4;
const STORED_ENTRY = 12;
const STORED = { tag: 0, id: 4, permissions: 8 } as const;
const XATTR_VERSION = 2;
const HEADER = 4;
const ENTRY = 8;
const NO_ID = 0xffffffff;
const TAGS_WITHOUT_ID = [0x01, 0x04, 0x10, 0x20];
const TAGS_WITH_ID = [0x02, 0x08];

/** The value of `system.posix_acl_*` for an ACL as XFS stores it. @throws FormatError `xfs.damaged` */
export function aclValue(inode: number, stored: Uint8Array): Uint8Array {
  const what = `the ACL of inode ${inode}`;
  const count = stored.length < STORED_HEADER ? 0 : be32(stored, 0);
  if (count === 0 || STORED_HEADER + count * STORED_ENTRY > stored.length) {
    throw damaged(what, `${count} entries do not fit into its ${stored.length} bytes`, { inode });
  }
  const value = new DataView(new ArrayBuffer(HEADER + count * ENTRY));
  value.setUint32(0, XATTR_VERSION, true);
  for (let i = 0; i < count; i++) {
    const from = STORED_HEADER + i * STORED_ENTRY;
    const tag = be32(stored, from + STORED.tag);
    const named = TAGS_WITH_ID.includes(tag);
    if (!named && !TAGS_WITHOUT_ID.includes(tag)) throw damaged(what, `an entry has the tag ${tag}`, { inode });
    const to = HEADER + i * ENTRY;
    value.setUint16(to, tag, true);
    value.setUint16(to + 2, be16(stored, from + STORED.permissions), true);
    value.setUint32(to + 4, named ? be32(stored, from + STORED.id) : NO_ID, true);
  }
  return new Uint8Array(value.buffer);
}
