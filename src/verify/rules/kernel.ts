/** The kernel, its initial file system, and what metal needs of both. */
import { FILE_TYPES } from '../../pack/filetypes.ts';
import { type Facts, usesBuiltIn } from '../facts.ts';
import { type Kernel, kernelsOf, modulesOf } from '../kernels.ts';
import { HOLDS, type Problem, type Rule, unless } from '../rule.ts';
import type { TreeFacts } from '../tree-facts.ts';
import { hasRoot } from './system.ts';

/** Drivers of the disks that servers boot from. */
const METAL = ['ahci', 'nvme', 'sd_mod', 'megaraid_sas', 'mpt3sas'];
/** Firmware of network cards of servers, as directories of linux-firmware. */
const NIC_FIRMWARE = ['bnx2x', 'bnx2', 'tigon', 'qed', 'cxgb4', 'liquidio', 'netronome', 'intel/ice', 'mellanox'];
/** Kernels that leave out drivers of metal. */
const VIRTUAL = /-(?:cloud|kvm|virtual|azure|aws|gcp|gke|oracle|ibm)(?:-|$)/;

export const kernelRules: readonly Rule[] = [
  {
    id: 'kernel.present',
    severity: 'error',
    title: 'There is a kernel in /boot',
    why: 'Nothing installs one on a deployment but curtin on Ubuntu, from the network: the machine has nothing to boot.',
    source: 'curtin curtin/commands/curthooks.py, install_kernel',
    mend: 'Install the kernel package in the image; merge a /boot of its own into the tree.',
    for: { of: 'system' },
    check: (facts) => {
      const { tree, tar } = facts;
      if (tree === undefined || !hasRoot(tree)) return HOLDS;
      if (tar !== undefined && usesBuiltIn(facts) && tree.family === 'ubuntu') return HOLDS;
      return unless(kernelsOf(tree).length > 0, 'there is no vmlinuz', '/boot');
    },
  },
  {
    id: 'kernel.machine',
    severity: 'error',
    title: 'The kernel is for the architecture that MAAS is told',
    why: 'The machine cannot start it.',
    source: 'maas src/maasserver/rpc/boot.py; the machines are chosen by architecture',
    mend: 'Install the kernel of that architecture, or declare the one the image has.',
    for: { of: 'system' },
    check: each((kernel, { artifact: { machine } }) => {
      if (kernel.machine === undefined) return { message: 'it is no kernel known here', path: `/${kernel.path}` };
      if (machine === undefined || kernel.machine === machine) return undefined;
      return { message: `it is for ${kernel.machine}, MAAS is told ${machine}`, path: `/${kernel.path}` };
    }),
  },
  {
    id: 'kernel.modules',
    severity: 'error',
    title: 'The kernel has its modules',
    why: 'Without /lib/modules of the same version there is no network card, and the machine never reports.',
    source: 'curtin curtin/commands/curthooks.py; nothing installs modules of a tree',
    mend: 'Install the modules package of that kernel, or remove a kernel that was left behind.',
    for: { of: 'system' },
    check: each((kernel) =>
      kernel.modules === undefined && kernel.version !== ''
        ? { message: `there is no /lib/modules/${kernel.version}`, path: `/${kernel.path}` }
        : undefined,
    ),
  },
  {
    id: 'kernel.one',
    severity: 'error',
    title: 'Exactly one kernel package is installed',
    why: 'curtin takes all that "rpm -q kernel" prints for one version: dracut is called with two run together, and the deployment fails.',
    source: 'curtin curtin/commands/curthooks.py, redhat_update_initramfs',
    mend: 'Remove the older kernel: dnf remove --oldinstallonly.',
    for: { of: 'tree', families: ['el'], steps: 'built-in' },
    check: ({ tree }) => {
      const count = tree?.packages.get('kernel')?.length ?? 0;
      return unless(count < 2, `${count} packages named kernel are installed`);
    },
  },
  {
    id: 'initrd.present',
    severity: 'error',
    title: 'Each kernel has an initial file system',
    why: 'The kernel finds no root without the drivers in it.',
    source: "curtin curtin/commands/curthooks.py; Debian's kernels are not rebuilt by curtin's own steps",
    mend: 'Run update-initramfs -c -k all, or dracut --regenerate-all --force --no-hostonly, in the image.',
    for: { of: 'system' },
    check: each((kernel) =>
      kernel.initrd === undefined
        ? { message: 'there is none of the same version beside it', path: `/${kernel.path}` }
        : undefined,
    ),
  },
  {
    id: 'initrd.whole',
    severity: 'error',
    title: 'The initial file system can be unpacked',
    why: 'The kernel unpacks it up to the damage and stops with no root.',
    source: 'Linux init/initramfs.c',
    mend: 'Make it again in the image; a full /boot cuts it short without an error.',
    for: { of: 'system' },
    check: each(({ initrd }, { tree }) => {
      const damage = initrdFacts(tree, initrd)?.damage;
      return damage === undefined ? undefined : { message: damage, path: `/${initrd}` };
    }),
  },
  {
    id: 'initrd.generic',
    severity: 'error',
    title: 'The initial file system has drivers of metal, and not those of the build machine alone',
    why: 'It was made inside a virtual machine: with MODULES=dep or host-only it has virtio and nothing that finds the disk of a server.',
    source: 'initramfs-tools MODULES, dracut hostonly',
    mend: 'Set MODULES=most in initramfs-tools, or hostonly=no for dracut, and make it again.',
    for: { of: 'system' },
    check: each((kernel, { tree }) => {
      const facts = initrdFacts(tree, kernel.initrd);
      if (tree === undefined || facts === undefined || facts.damage !== undefined || facts.unread !== undefined)
        return undefined;
      const { files, builtIn } = modulesOf(tree, kernel);
      const missing = METAL.filter((name) => files.has(name) && !builtIn.has(name) && !facts.modules.has(name));
      return missing.length === 0
        ? undefined
        : { message: `it lacks ${missing.join(', ')}, which the kernel has as modules`, path: `/${kernel.initrd}` };
    }),
  },
  {
    id: 'kernel.flavour',
    severity: 'warning',
    title: 'The kernel is one for metal',
    why: 'Kernels for clouds and virtual machines leave out the drivers of servers.',
    source: 'Debian linux-image-cloud-*, Ubuntu linux-kvm, linux-azure …, SUSE kernel-default-base',
    mend: 'Install linux-image-amd64, linux-generic or kernel-default.',
    for: { of: 'system' },
    check: ({ tree }) => {
      if (tree === undefined) return HOLDS;
      const kernels = kernelsOf(tree);
      if (tree.packages.has('kernel-default-base') && !tree.packages.has('kernel-default'))
        return [{ message: 'kernel-default-base is installed without kernel-default' }];
      const all = kernels.length > 0 && kernels.every(({ version }) => VIRTUAL.test(version));
      return unless(!all, `the only kernel is ${kernels[0]?.version}`);
    },
  },
  {
    id: 'firmware.network',
    severity: 'warning',
    title: 'Firmware of network cards is there',
    why: 'Cards of Broadcom, QLogic, Chelsio and others do not start without it: the machine deploys and is then gone from the network.',
    source: 'Linux drivers/net; linux-firmware',
    mend: 'Install linux-firmware, or on Debian the firmware-* packages of non-free-firmware.',
    for: { of: 'system' },
    check: ({ tree }) => {
      if (tree === undefined || !hasRoot(tree)) return HOLDS;
      const some = NIC_FIRMWARE.some(
        (name) => tree.node(`lib/firmware/${name}`) ?? tree.node(`usr/lib/firmware/${name}`),
      );
      return unless(some, `none of ${NIC_FIRMWARE.join(', ')} is in /lib/firmware`);
    },
  },
  {
    id: 'memory.layout',
    severity: 'warning',
    title: 'A tree for deployment to memory has nothing that waits for a disk',
    why: 'The whole system is in memory: swap in fstab is waited for at every boot.',
    source: 'maas src/provisioningserver/kernel_opts.py, root=tar:',
    mend: 'Remove swap from /etc/fstab; pack it as tgz or txz.',
    for: { of: 'tree', versions: ['3.5', '3.6', '3.7', '3.8'] },
    check: ({ tree, artifact: { filetype } }) => {
      if (filetype === undefined || FILE_TYPES[filetype].compression === 'bzip2') return HOLDS;
      const line = (tree?.text('etc/fstab') ?? '')
        .split('\n')
        .findIndex((one) => /^[^#\s]\S*\s+\S+\s+swap\s/.test(one));
      return line < 0 ? HOLDS : [{ message: 'it has swap', path: '/etc/fstab', line: line + 1 }];
    },
  },
];

function each(judge: (kernel: Kernel, facts: Facts) => Problem | undefined): Rule['check'] {
  return (facts) => {
    if (facts.tree === undefined) return HOLDS;
    return kernelsOf(facts.tree).flatMap((kernel) => judge(kernel, facts) ?? []);
  };
}

function initrdFacts(tree: TreeFacts | undefined, path: string | undefined) {
  const entry = path === undefined ? undefined : tree?.node(path);
  return entry && tree?.initrds.get(Buffer.from(entry.path).toString());
}
