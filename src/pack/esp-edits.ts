import type { Edit } from '../filesystem/file-tree.ts';
import type { Mount, Root } from '../filesystem/root.ts';
import { familyOf } from '../verify/family.ts';
import { isEspSetting } from '../verify/loaders.ts';
import { readOsRelease } from '../verify/packages.ts';

/**
 * What a sealed tree leaves out of the EFI system partition that is merged into it. On Debian, Ubuntu and SUSE curtin has
 * grub-install fill that of the machine, and would start loaders of the tree that go on to the disk of the build (SUSE). On
 * Enterprise Linux it starts those of the tree, with a configuration it writes beside them; grub2-mkconfig refuses where one is
 * there. Nobody knows of others. Source: curtin curtin/commands/curthooks.py, find_efi_loader; install_grub.py.
 */
export async function espEdits({ tree, mounts }: Root): Promise<Edit[]> {
  const esps = mounts.filter(({ esp }) => esp);
  const family = familyOf(await readOsRelease(tree));
  if (family === 'other') return [];
  if (family === 'el') return (await Promise.all(esps.map(withoutSettings))).flat();
  const reason = 'its loaders lead to the disk of the build; curtin has grub-install fill that of the machine';
  return esps.map(({ mountPoint: path }) => ({ kind: 'clear', path, reason }));
}

/** By their names as they are spelled: a FAT knows no difference of case, a pattern does. */
async function withoutSettings({ fs, mountPoint }: Mount): Promise<Edit[]> {
  const reason = 'it leads to the disk of the build, and keeps grub2-mkconfig from writing that of the machine';
  const edits: Edit[] = [];
  for await (const { path, kind } of fs.entries()) {
    const name = Buffer.from(path).toString();
    if (kind === 'file' && isEspSetting(name)) edits.push({ kind: 'remove', path: `${mountPoint}/${name}`, reason });
  }
  return edits;
}
