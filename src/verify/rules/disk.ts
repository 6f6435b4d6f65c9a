/** A disk as it is written: its table, its root, its size, and how it grows. */
import { humanSize } from '../../formats/human.ts';
import { FILE_TYPES } from '../../pack/filetypes.ts';
import { isLinux } from '../facts.ts';
import { HOLDS, type Rule, unless } from '../rule.ts';
import type { TreeFacts } from '../tree-facts.ts';
import { hasRoot } from './system.ts';

const WRITE = 'curtin curtin/commands/block_meta.py, write_image_to_disk';
const SIMPLE = 'curtin curtin/commands/block_meta.py, meta_simple: storage layouts are ignored';
/** For the partitions curtin makes beside the root, and room to write. */
const BESIDE_TREE = 1.5 * 1024 ** 3;
const GROWS_LVM = /\b(?:lvextend|lvresize|vgextend|pvresize)\b/;
const UNIT_FOLDERS = ['etc/systemd/system', 'usr/lib/systemd/system', 'lib/systemd/system'];

export const diskRules: readonly Rule[] = [
  {
    id: 'disk.member',
    severity: 'error',
    title: 'An archive around a disk holds nothing else',
    why: 'curtin writes all members one after another onto the disk.',
    source: `${WRITE}, tar -xO`,
    mend: 'Archive the one raw disk alone.',
    for: { of: 'disk' },
    check: ({ disk, artifact: { filetype } }) => {
      if (filetype === undefined || FILE_TYPES[filetype].content !== 'disk-in-tar' || disk?.members === undefined)
        return HOLDS;
      return unless(disk.members === 1, `it holds ${disk.members} members`);
    },
  },
  {
    id: 'disk.table',
    severity: 'error',
    title: 'The disk has a partition table that is whole',
    why: 'curtin has the kernel read it and looks into the partitions; a damaged one has none.',
    source: `${WRITE}, then partprobe`,
    mend: 'sgdisk --verify says what is wrong; sgdisk -e puts the second table at the end.',
    for: { of: 'disk' },
    check: ({ disk }) => {
      if (disk === undefined || disk.members === 0) return HOLDS;
      if (disk.tableProblems.length > 0) return disk.tableProblems.map((message) => ({ message }));
      return unless(disk.scheme !== 'none' || disk.size === 0, 'there is none');
    },
  },
  {
    id: 'disk.root',
    severity: 'error',
    title: 'There is one root file system that the deploying system mounts',
    why: 'curtin passes over what it cannot mount: encrypted, damaged or unknown file systems, and finds no root.',
    source: 'curtin curtin/block/__init__.py, get_root_device',
    mend: 'Put the system on one ext4 or XFS file system and power it off cleanly.',
    for: { of: 'disk' },
    check: (facts) => {
      const { disk } = facts;
      if (disk === undefined || !isLinux(facts) || disk.tableProblems.length > 0 || disk.scheme === 'none')
        return HOLDS;
      return unless(disk.rootProblem === undefined, disk.rootProblem ?? '');
    },
  },
  {
    id: 'disk.size',
    severity: 'error',
    title: 'The image fits the smallest disk it is deployed on',
    why: 'dd writes up to the end of the disk and fails; a tree fills its file system.',
    source: `${WRITE}; curtin curtin/commands/extract.py`,
    mend: 'Build it on a smaller disk: it grows on the first boot. Or tell a larger --target-disk.',
    for: { of: 'any' },
    check: ({ disk, tar, tree, artifact }) => {
      const limit = artifact.wants.targetDisk;
      if (disk !== undefined)
        return unless(disk.size <= limit, `it has ${humanSize(disk.size)}, the disk ${humanSize(limit)}`);
      if (tar === undefined || tree === undefined) return HOLDS;
      const size = tree.unpackedSize + BESIDE_TREE;
      return unless(size <= limit, `its files take ${humanSize(tree.unpackedSize)} of a disk of ${humanSize(limit)}`);
    },
  },
  {
    id: 'grow.partition',
    severity: 'error',
    title: 'The root grows to its disk on the first boot',
    why: 'curtin never grows a dd image: a machine with terabytes has a root of some gigabytes.',
    source: SIMPLE,
    mend: 'Install cloud-guest-utils or cloud-utils-growpart (growpart) with gdisk and sfdisk, or a systemd-repart definition of the root.',
    for: { of: 'disk' },
    check: ({ tree, disk }) => {
      if (tree === undefined || !hasRoot(tree) || disk?.root === undefined || disk.scheme === 'none') return HOLDS;
      const repart = ['usr/lib/repart.d', 'etc/repart.d', 'lib/repart.d'].some((path) => tree.inside(path).length > 0);
      if (repart) return HOLDS;
      if (tree.command('growpart') === undefined)
        return [{ message: 'there is neither growpart nor a definition of systemd-repart' }];
      const tool = tree.command('sfdisk') ?? tree.command('sgdisk');
      return unless(tool !== undefined, 'growpart is there without sfdisk and sgdisk, which it calls');
    },
  },
  {
    id: 'grow.file-system',
    severity: 'error',
    title: 'The program that grows the root file system is there',
    why: 'cloud-init calls it after the partition has grown.',
    source: 'cloud-init cloudinit/config/cc_resizefs.py',
    mend: 'Install e2fsprogs (resize2fs), or xfsprogs (xfs_growfs).',
    for: { of: 'disk' },
    check: ({ tree, disk }) => {
      const name = disk?.root?.kind === 'xfs' ? 'xfs_growfs' : 'resize2fs';
      if (tree === undefined || !hasRoot(tree) || disk?.root === undefined || disk.root.kind === 'vfat') return HOLDS;
      return unless(tree.command(name) !== undefined, `there is no ${name}`);
    },
  },
  {
    id: 'grow.lvm',
    severity: 'error',
    title: 'A root on LVM has a step that grows its volume',
    why: 'growpart makes the partition larger, and nothing the volume group and the volume in it.',
    source: 'cloud-init cloudinit/config/cc_growpart.py; seen in ADA issue 35',
    mend: 'Have a unit or a bootcmd of cloud-init run pvresize and lvextend --resizefs at boot.',
    for: { of: 'disk' },
    check: ({ tree, disk }) => {
      if (tree === undefined || disk?.root?.logicalVolume === undefined) return HOLDS;
      return unless(growsLvm(tree), `nothing in its units and settings calls lvextend for ${disk.root.logicalVolume}`);
    },
  },
  {
    id: 'grow.last',
    severity: 'error',
    title: 'The root is the last on its disk',
    why: 'A partition grows into what is free behind it, and there is nothing.',
    source: 'cloud-utils growpart',
    mend: 'Lay the disk out with the root, or the volume group it is in, at the end.',
    for: { of: 'disk' },
    check: ({ disk }) => unless(disk?.root?.isLast !== false, `another partition lies behind ${disk?.root?.where}`),
  },
  {
    id: 'storage.tools',
    severity: 'warning',
    title: 'Tools for the storage layouts of MAAS are there',
    why: 'curtin installs what is missing from the network, and a deployment without one fails; so do layouts on LVM or XFS where the image cannot mount them.',
    source: 'curtin curtin/deps.py and curtin/block/deps.py',
    mend: 'Install lvm2, e2fsprogs and xfsprogs.',
    for: { of: 'tree' },
    check: ({ tree }) => {
      if (tree === undefined || !hasRoot(tree)) return HOLDS;
      const missing = [
        ['lvm', 'lvm2'],
        ['mkfs.ext4', 'e2fsprogs'],
        ['mkfs.xfs', 'xfsprogs'],
      ].filter(([command = '']) => tree.command(command) === undefined);
      return unless(missing.length === 0, `${missing.map(([, name]) => name).join(', ')} missing`);
    },
  },
  {
    id: 'el.yum-conf',
    severity: 'warning',
    title: 'An EL image has /etc/yum.conf',
    why: "MAAS appends the site's proxy to it; where it is not there the line lands in a file nobody reads.",
    source: 'maas src/maasserver/preseed.py, yum_proxy',
    mend: 'Make it a link to dnf/dnf.conf.',
    for: { of: 'system', families: ['el'] },
    check: ({ tree }) => unless(tree?.node('etc/yum.conf') !== undefined, 'it is not there', '/etc/yum.conf'),
  },
  {
    id: 'el.labels',
    severity: 'error',
    title: 'An EL tree with hooks has its labels, or asks for them to be made',
    why: "SELinux keeps everybody out of a system without labels; curtin's own steps make /.autorelabel, a hook has to.",
    source: 'curtin curtin/commands/curthooks.py, redhat_apply_selinux_autorelabel',
    mend: 'Pack with extended attributes (compose pack does), or have /.autorelabel in the tree or made by the hook.',
    for: { of: 'tree', families: ['el'], steps: 'hook' },
    check: ({ tree }) => {
      if (tree === undefined || !hasRoot(tree) || tree.own('.autorelabel') !== undefined) return HOLDS;
      if (/^\s*SELINUX=(?:disabled|permissive)/m.test(tree.text('etc/selinux/config') ?? 'SELINUX=disabled'))
        return HOLDS;
      if (/autorelabel/.test(tree.text('curtin/curtin-hooks') ?? '')) return HOLDS;
      const label = tree
        .node('etc/passwd')
        ?.xattrs.some(({ name }) => Buffer.from(name).toString() === 'security.selinux');
      return unless(label === true, 'it has no label, and nothing makes /.autorelabel', '/etc/passwd');
    },
  },
];

function growsLvm(tree: TreeFacts): boolean {
  for (const [, bytes] of tree.texts()) if (GROWS_LVM.test(Buffer.from(bytes).toString('latin1'))) return true;
  const units = UNIT_FOLDERS.flatMap((folder) => tree.inside(folder)).map(({ path }) => Buffer.from(path).toString());
  return units.some((path): boolean => GROWS_LVM.test(tree.text(path) ?? ''));
}
