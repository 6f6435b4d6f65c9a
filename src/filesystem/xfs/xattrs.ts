import type { Awaitable } from '../../disk/block-source.ts';
import type { Xattr } from '../file-tree.ts';
import { aclValue } from './acl.ts';
import { readAttributeBlocks } from './attribute-blocks.ts';
import { ATTRIBUTE_FLAG, parseShortAttributes, type RawAttribute } from './attribute-leaf.ts';
import { FORMAT, type Inode } from './inode.ts';
import type { Volume } from './volume.ts';

/** Extended attributes as getxattr gives them (kernel: fs/xfs/xfs_xattr.c). */

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const USER = ascii('user.');
const TRUSTED = ascii('trusted.');
const SECURITY = ascii('security.');
const NONE: readonly Xattr[] = [];
const ACLS: ReadonlyMap<string, Uint8Array> = new Map([
  ['SGI_ACL_FILE', ascii('system.posix_acl_access')],
  ['SGI_ACL_DEFAULT', ascii('system.posix_acl_default')],
]);

/**
 * Every attribute of `inode`, sorted by name. As the kernel shows them to root, an ACL is there twice: as
 * `system.posix_acl_*`, and in the form it is stored in as `trusted.SGI_ACL_*`.
 * @throws FormatError `xfs.damaged`, `xfs.checksum`
 */
export function readXattrs(volume: Volume, inode: Inode): Awaitable<readonly Xattr[]> {
  const fork = inode.attributes;
  if (fork === undefined) return NONE;
  if (fork.format === FORMAT.local) return present(inode, parseShortAttributes(fork.what, fork.bytes));
  if (fork.format === FORMAT.extents && fork.extents === 0) return NONE;
  return readAttributeBlocks(volume, inode, fork).then((raw) => present(inode, raw));
}

function present(inode: Inode, raw: readonly RawAttribute[]): readonly Xattr[] {
  const out: Xattr[] = [];
  for (const { flags, name, value } of raw) {
    // Half-made ones were never there; parent pointers have no name that a program could ask for.
    if (value === undefined || (flags & (ATTRIBUTE_FLAG.incomplete | ATTRIBUTE_FLAG.parent)) !== 0) continue;
    if ((flags & ATTRIBUTE_FLAG.root) !== 0) {
      const acl = ACLS.get(Buffer.from(name).toString('latin1'));
      if (acl !== undefined) out.push({ name: acl, value: aclValue(inode.number, value) });
      out.push({ name: joined(TRUSTED, name), value });
    } else {
      out.push({ name: joined((flags & ATTRIBUTE_FLAG.secure) !== 0 ? SECURITY : USER, name), value });
    }
  }
  return out.sort((a, b) => Buffer.compare(a.name, b.name));
}

function joined(prefix: Uint8Array, name: Uint8Array): Uint8Array {
  const full = new Uint8Array(prefix.length + name.length);
  full.set(prefix);
  full.set(name, prefix.length);
  return full;
}
