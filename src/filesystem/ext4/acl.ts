import { u16, u32 } from './bytes.ts';
import { damaged } from './problems.ts';

/**
 * POSIX ACLs. ext4 stores version 1: entries of tag and permissions, and an id only where the tag names a user or a
 * group. getxattr gives version 2: eight bytes for every entry (kernel: fs/ext4/acl.h, uapi/linux/posix_acl_xattr.h).
 */

const STORED_VERSION = 1;
const XATTR_VERSION = 2;
const HEADER = 4;
const SHORT_ENTRY = 4;
const LONG_ENTRY = 8;
const NO_ID = 0xffffffff;
const TAGS_WITHOUT_ID = [0x01, 0x04, 0x10, 0x20];
const TAGS_WITH_ID = [0x02, 0x08];

/** The value of `system.posix_acl_*` for an ACL as ext4 stores it. @throws FormatError `ext4.damaged` */
export function aclValue(inode: number, stored: Uint8Array): Uint8Array {
  const what = `the ACL of inode ${inode}`;
  if (stored.length < HEADER || u32(stored, 0) !== STORED_VERSION)
    throw damaged(what, 'its version is not 1', { inode });
  const entries: [tag: number, permissions: number, id: number][] = [];
  for (let at = HEADER; at < stored.length; ) {
    if (at + SHORT_ENTRY > stored.length) throw damaged(what, 'an entry is cut off', { inode });
    const tag = u16(stored, at);
    const permissions = u16(stored, at + 2);
    if (TAGS_WITHOUT_ID.includes(tag)) {
      entries.push([tag, permissions, NO_ID]);
      at += SHORT_ENTRY;
    } else if (TAGS_WITH_ID.includes(tag) && at + LONG_ENTRY <= stored.length) {
      entries.push([tag, permissions, u32(stored, at + 4)]);
      at += LONG_ENTRY;
    } else {
      throw damaged(what, `an entry with tag ${tag} is unknown or cut off`, { inode });
    }
  }
  const value = new DataView(new ArrayBuffer(HEADER + entries.length * LONG_ENTRY));
  value.setUint32(0, XATTR_VERSION, true);
  for (const [i, [tag, permissions, id]] of entries.entries()) {
    value.setUint16(HEADER + i * LONG_ENTRY, tag, true);
    value.setUint16(HEADER + i * LONG_ENTRY + 2, permissions, true);
    value.setUint32(HEADER + i * LONG_ENTRY + 4, id, true);
  }
  return new Uint8Array(value.buffer);
}
