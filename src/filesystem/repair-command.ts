import type { BlockSource } from '../disk/block-source.ts';
import type { Disk } from '../disk/open.ts';
import { shellWord } from '../formats/shell-word.ts';
import type { Place } from './place.ts';

/** Images that lie under a disk, topmost first; undefined when the disk was not opened from a file. */
function imagesOf(disk: BlockSource): Disk['chain'] | undefined {
  return (disk as Partial<Disk>).chain;
}

/**
 * The command that repairs an ext file system (`e2fsck`), or replays the log of an XFS (`mount`: xfs_repair would have to
 * throw the log away), where it lies in an image. It runs as root in any POSIX shell.
 *
 * e2fsck takes `image?offset=N` but opens the image without the offset once it has replayed the journal (e2fsprogs
 * e2fsck/journal.c, `e2fsck_run_ext3_journal`), and fails. So it gets a loop device. Partition nodes of one (losetup -P)
 * are not on every kernel.
 */
export function repairCommand(kind: 'e2fsck' | 'xfs', place: Place, disk: BlockSource): string {
  const top = imagesOf(disk)?.[0];
  if (top === undefined) return onImage(kind, place, 'DISK');
  const path = shellWord(top.path);
  if (top.format === 'raw') return onImage(kind, place, path);
  // Neither e2fsck nor mount reads such an image, and the kernel's nbd is not everywhere.
  const raw = shellWord(`${top.path}.raw`);
  return `[ ! -e ${raw} ] && qemu-img convert -O raw ${path} ${raw} && { ${onImage(kind, place, raw)}; }, and give compose ${raw}`;
}

function onImage(kind: 'e2fsck' | 'xfs', place: Place, path: string): string {
  const { areas, logicalVolume: logical } = place;
  const at = areas.length === 1 && areas[0]!.stripeSize === areas[0]!.length ? areas[0]!.position : undefined;
  if (at === undefined && logical !== undefined) {
    const device = shellWord(`/dev/${logical.group}/${logical.name}`);
    const group = shellWord(logical.group);
    const work = kind === 'xfs' ? `mount -o nouuid ${device} /mnt && umount /mnt` : `e2fsck -fy ${device}`;
    // The host may have a group of that name: of no device but the image's is anything switched on or off.
    const vg = (way: string): string => `vgchange --devices $(echo $L ${'${L}'}p* | tr ' ' ,) -a${way} ${group}`;
    return `L=$(losetup -fP --show ${path}) && { ${vg('y')} && ${work}; ${vg('n')}; losetup -d $L; }`;
  }
  if (kind === 'xfs') return `mount -o loop,nouuid,offset=${at ?? 'START'} ${path} /mnt && umount /mnt`;
  if (at === 0) return `e2fsck -fy ${path}`;
  return `L=$(losetup -f --show -o ${at ?? 'START'} ${path}) && e2fsck -fy $L; losetup -d $L`;
}
