/** What the hygiene table finds in accounts, fstab and free space. */
import { parseFstab } from '../filesystem/fstab.ts';
import { humanSize } from '../formats/human.ts';
import type { Facts } from './facts.ts';
import { isEspSetting } from './loaders.ts';
import { HOLDS, type Problem } from './rule.ts';

/** Names of the build's disk: `/dev/mapper/…` and `/dev/vda2` are as good as a UUID. */
const BUILD_DISK = /^(?:(?:UUID|LABEL|PARTUUID|PARTLABEL|ID)=|\/dev\/)/;
/** GRUB's command by UUID, with the option in either form, or as the command of its own it was in GRUB 1.9x. */
const SEARCH = /^\s*search(?:\.fs_uuid|\b.*\s(?:-u|--fs-uuid))\s/m;
/** What stands in shadow(5) for no password: locked, or none that could match. */
const LOCKED = /^(?:[!*]|$)/;

/** Accounts that a password opens, or none at all. */
export function passwordProblems({ tree }: Facts): readonly Problem[] {
  const text = tree?.text('etc/shadow') ?? '';
  return text.split('\n').flatMap((line, at): Problem[] => {
    const [user = '', hash, ...more] = line.split(':');
    if (user === '' || more.length === 0 || hash === undefined) return [];
    const place = { path: '/etc/shadow', line: at + 1 };
    if (hash === '') return [{ message: `${user} needs no password`, ...place }];
    return LOCKED.test(hash) ? [] : [{ message: `${user} has a password`, ...place }];
  });
}

/** The account the build logged in with, where it may still become root. */
export function userProblems({ tree, artifact }: Facts): readonly Problem[] {
  const { user } = artifact.wants;
  if (tree === undefined || user === undefined || user === 'root') return HOLDS;
  if (!new RegExp(`^${user.replace(/\W/g, '\\$&')}:`, 'm').test(tree.text('etc/passwd') ?? '')) return HOLDS;
  return [{ message: `the account ${user}, which the build logged in with, is there`, path: '/etc/passwd' }];
}

/** Entries of a tree's fstab for file systems of the build's disk. */
export function fstabProblems({ tree }: Facts): readonly Problem[] {
  const lines = (tree?.text('etc/fstab') ?? '').split('\n');
  return lines.flatMap((line, at): Problem[] =>
    parseFstab(line)
      .filter(({ spec }) => BUILD_DISK.test(spec))
      .map(({ spec, mountPoint }) => ({
        message: `it mounts ${spec} at ${mountPoint}`,
        path: '/etc/fstab',
        line: at + 1,
      })),
  );
}

/** Settings of GRUB beside the loaders of a tree that look for a file system. Of distributions curtin does not know, they may be meant. */
export function espProblems({ tree }: Facts): readonly Problem[] {
  if (tree === undefined || tree.family === 'other') return HOLDS;
  return [...tree.entries.keys()]
    .filter((path) => isEspSetting(path.replace(/^(?:boot\/efi|efi)\//, '')) && SEARCH.test(tree.text(path) ?? ''))
    .map((path) => ({ message: 'it looks for a file system of the disk it was built on', path: `/${path}` }));
}

/** Bytes of deleted files on a disk. What they are is not told in full: it may be a secret. */
export function leftoverSpace({ disk }: Facts): readonly Problem[] {
  const { bytes = 0, samples = [] } = disk?.leftovers ?? {};
  if (bytes === 0) return HOLDS;
  const shown =
    samples.length === 0 ? '' : `, text among it (${samples.map((text) => `${text.slice(0, 6)}…`).join(', ')})`;
  return [{ message: `${humanSize(bytes)} of free blocks are not zero${shown}` }];
}
