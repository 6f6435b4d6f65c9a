import type { Edit } from '../filesystem/file-tree.ts';
import type { Root } from '../filesystem/root.ts';
import { familyOf } from '../verify/family.ts';
import { readOsRelease } from '../verify/packages.ts';

/**
 * What a sealed tree leaves out of the EFI system partition that is merged into it. On Debian, Ubuntu and SUSE curtin has
 * grub-install fill that of the machine, and would start loaders of the tree that go on to the disk of the build (SUSE). On
 * Enterprise Linux it starts those of the tree, with a configuration it writes beside them; grub2-mkconfig refuses where one is
 * there. Nobody knows of others. Source: curtin curtin/commands/curthooks.py, find_efi_loader; install_grub.py.
 */
export async function espEdits({ tree, mounts }: Root): Promise<Edit[]> {
  const points = mounts.filter(({ esp }) => esp).map(({ mountPoint }) => mountPoint);
  const family = familyOf(await readOsRelease(tree));
  if (family === 'other') return [];
  if (family === 'el') {
    const reason = 'it leads to the disk of the build, and keeps grub2-mkconfig from writing that of the machine';
    const files = ['grub.cfg', 'grubenv'];
    return points.flatMap((point) => files.map((file) => ({ kind: 'remove', path: `${point}/EFI/*/${file}`, reason })));
  }
  const reason = 'its loaders lead to the disk of the build; curtin has grub-install fill that of the machine';
  return points.map((path) => ({ kind: 'clear', path, reason }));
}
