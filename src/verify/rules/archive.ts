/** What GNU tar would trip over: curtin has it unpack a tree with --xattrs -Sxp --numeric-owner onto mounted file systems. */
import { HOLDS, type Problem, type Rule, unless } from '../rule.ts';
import type { Names, TarFacts } from '../tar-facts.ts';

const EXTRACT = 'curtin curtin/commands/extract.py; seen with GNU tar 1.34';
const AGAIN = 'Pack it with compose pack, or leave such members out of the archive.';

/** A rule about names the archive should not have. */
function names(of: Exclude<keyof TarFacts, 'members' | 'root'>, rule: Omit<Rule, 'for' | 'check'>, what: string): Rule {
  return { ...rule, for: { of: 'tree' }, check: ({ tar }) => (tar === undefined ? HOLDS : told(tar[of], what)) };
}

function told({ count, first }: Names, what: string): readonly Problem[] {
  if (count === 0) return HOLDS;
  const more = count > first.length ? `, and ${count - first.length} more` : '';
  return [
    {
      message: `${count} ${what}: ${first.join(', ')}${more}`,
      ...(first[0] === undefined ? {} : { path: asPath(first[0]) }),
    },
  ];
}

const asPath = (name: string): string => `/${name.replace(/ [→(].*$/, '').replace(/^(?:\.?\/)+/, '')}`;

export const archiveRules: readonly Rule[] = [
  names(
    'dotDot',
    {
      id: 'tar.dot-dot',
      severity: 'error',
      title: 'No name in the archive has ".." in it',
      why: 'GNU tar passes such a member over and ends with status 2: the deployment fails.',
      source: EXTRACT,
      mend: AGAIN,
    },
    'names with ".."',
  ),
  names(
    'absolute',
    {
      id: 'tar.absolute',
      severity: 'warning',
      title: 'No name in the archive begins with a slash',
      why: 'GNU tar takes the slash off and says so for each; other readers write outside of the target.',
      source: EXTRACT,
      mend: AGAIN,
    },
    'absolute names',
  ),
  names(
    'long',
    {
      id: 'tar.path-length',
      severity: 'error',
      title: 'Every path is one that Linux opens',
      why: 'GNU tar cannot unpack a path of more than 4095 bytes and ends with status 2.',
      source: EXTRACT,
      mend: 'Leave the directory out; such paths come of loops that were once followed.',
    },
    'paths longer than 4095 bytes',
  ),
  names(
    'lateLinks',
    {
      id: 'tar.link-order',
      severity: 'error',
      title: 'A hard link comes after its target',
      why: 'GNU tar cannot make a link to what is not there yet and ends with status 2.',
      source: EXTRACT,
      mend: AGAIN,
    },
    'hard links before their targets',
  ),
  names(
    'crossingLinks',
    {
      id: 'tar.link-crosses',
      severity: 'warning',
      title: 'No hard link goes from one place that may be mounted to another',
      why: 'The storage layout is mounted before the archive is unpacked: a link from one file system to another fails, and the deployment with it.',
      source: 'curtin curtin/commands/block_meta.py, custom layouts; extract.py',
      mend: 'Make a copy or a symbolic link of it; /boot, /home, /opt, /srv, /tmp and /var may be file systems of their own.',
    },
    'hard links across places that may be mounted',
  ),
  names(
    'replaced',
    {
      id: 'tar.replaced',
      severity: 'error',
      title: 'No name comes again as something else',
      why: 'A directory replaces a symbolic link of the same name without a word: bin becomes a directory beside usr/bin, and programs are gone.',
      source: EXTRACT,
      mend: 'Pack the merged tree in one go; do not append a tree that has bin/ to one where bin is a link.',
    },
    'names with two meanings',
  ),
  names(
    'beneathLinks',
    {
      id: 'tar.beneath-link',
      severity: 'error',
      title: 'Nothing is below a symbolic link with an absolute target',
      why: 'Such a link leads out of the target while the archive is unpacked: GNU tar refuses the member, or it lands in the ephemeral system.',
      source: EXTRACT,
      mend: 'Give the link a relative target, or put the members where it leads.',
    },
    'members below absolute links',
  ),
  names(
    'efi',
    {
      id: 'tar.efi',
      severity: 'error',
      title: 'What is in /boot/efi can be kept by a FAT',
      why: 'The EFI system partition is mounted there: an owner other than root, a link or a device ends GNU tar with status 2.',
      source: EXTRACT,
      mend: 'Have only files and directories of root there.',
    },
    'members in boot/efi that FAT cannot hold',
  ),
  names(
    'lostXattrs',
    {
      id: 'tar.xattr-form',
      severity: 'warning',
      title: 'Extended attributes are stored where curtin has tar read them',
      why: 'With --xattrs alone only SCHILY.xattr.* is restored: labels, capabilities and ACLs in other records are lost.',
      source: EXTRACT,
      mend: "Pack it with compose pack, or GNU tar's --xattrs --xattrs-include='*' without --selinux and --acls.",
    },
    'members whose attributes are passed over',
  ),
  {
    id: 'tar.root-entry',
    severity: 'error',
    title: 'The entry of the root, where there is one, is of root and 0755',
    why: 'GNU tar gives the root of the target that owner and mode: no service and no user gets past a 0700.',
    source: EXTRACT,
    mend: 'Set owner and mode of the top directory, or leave its entry out.',
    for: { of: 'tree' },
    check: ({ tar }) => {
      if (tar?.root === undefined) return HOLDS;
      const { mode, uid, gid } = tar.root;
      const good = uid === 0 && gid === 0 && (mode & 0o777) === 0o755;
      return unless(good, `it is ${(mode & 0o7777).toString(8).padStart(4, '0')} and of ${uid}:${gid}`, '/');
    },
  },
  {
    id: 'tree.owners',
    severity: 'error',
    title: 'The directories of the system belong to root',
    why: 'Owners are restored by number: an archive made by another user gives the whole system to them.',
    source: 'curtin curtin/commands/extract.py, --numeric-owner',
    mend: 'Pack as root, in a user namespace, or with compose pack, which reads owners from the disk.',
    for: { of: 'tree' },
    check: ({ tree }) =>
      ['etc', 'usr', 'usr/bin', 'etc/passwd']
        .map((path) => [path, tree?.own(path)] as const)
        .filter(([, entry]) => entry !== undefined && entry.uid !== 0)
        .slice(0, 1)
        .map(([path, entry]) => ({ message: `it belongs to ${entry?.uid}:${entry?.gid}`, path: `/${path}` })),
  },
];
