/** The system in the image, as far as every deployment needs it. */
import { PROGRAMS } from '../../filesystem/root-machine.ts';
import { elfMachine, type Machine } from '../../formats/executable.ts';
import type { Facts } from '../facts.ts';
import { HOLDS, type Problem, type Rule, unless } from '../rule.ts';
import type { TreeFacts } from '../tree-facts.ts';

/** IDs that curtin 23.1 knows by themselves (curtin: curtin/distro.py). */
const CURTIN_IDS = [
  ...['debian', 'ubuntu', 'centos', 'fedora', 'ol', 'redhat', 'rhel', 'rocky', 'almalinux', 'mariner'],
  ...['opensuse', 'sles', 'suse'],
];
/** Without /curtin/curtin-hooks curtin's own steps cannot finish these: no rpm macro, or a kernel that is not Ubuntu's. */
const NEEDS_HOOK = ['fedora', 'mariner', 'azurelinux', 'openeuler', 'debian'];
const LIBRARY = /\/(?:libc\.so\.6|ld-[^/]*\.so\.\d)$/;
const DAY = 86_400_000_000_000n;

export const systemRules: readonly Rule[] = [
  {
    id: 'tree.root',
    severity: 'error',
    title: 'The archive holds a root tree at its top',
    why: 'curtin unpacks it onto the root of the target as it is: a tree inside a folder becomes a folder.',
    source: 'curtin curtin/commands/extract.py',
    mend: 'Archive with -C ROOT . so that names begin with ./etc and ./usr.',
    for: { of: 'tree' },
    check: ({ tree }) => unless(hasRoot(tree), 'there is no /etc with /usr or /bin beside it'),
  },
  {
    id: 'system.known',
    severity: 'error',
    title: 'curtin knows the distribution, or the image brings its own steps',
    why: "curtin's own steps end with an error for a system they do not know.",
    source: 'curtin curtin/distro.py, get_distroinfo',
    mend: 'Bring /curtin/curtin-hooks, or have ID or ID_LIKE in /etc/os-release name a system curtin knows.',
    for: { of: 'tree', steps: 'built-in' },
    check: ({ tree }) => {
      if (tree === undefined || !hasRoot(tree)) return HOLDS;
      const names = [tree.id, ...(tree.release.ID_LIKE ?? '').toLowerCase().split(/\s+/)];
      if (NEEDS_HOOK.includes(tree.id)) return HOLDS;
      return unless(
        names.some((name) => CURTIN_IDS.includes(name)),
        `os-release says ID=${tree.release.ID ?? ''}`,
        '/etc/os-release',
      );
    },
  },
  {
    id: 'curtin.hook-needed',
    severity: 'error',
    title: "A system that curtin's own steps cannot finish brings its own",
    why: "They install linux-generic on Debian, and take rpm's %rhel, which is no number on Fedora, Azure Linux and openEuler.",
    source: 'curtin curtin/commands/curthooks.py, install_kernel and install_grub; curtin/distro.py',
    mend: 'Put an executable /curtin/curtin-hooks in the image; recipes/ has them.',
    for: { of: 'tree', steps: 'built-in' },
    check: ({ tree }) =>
      unless(tree === undefined || !NEEDS_HOOK.includes(tree.id), `${tree?.id} has no /curtin/curtin-hooks`),
  },
  {
    id: 'system.shell',
    severity: 'error',
    title: 'bash is there',
    why: 'MAAS checks every custom image by commands that it gives to bash in the target.',
    source: 'maas src/maasserver/preseed.py, get_custom_image_dependency_validation',
    mend: 'Install bash.',
    for: { of: 'system' },
    check: ({ tree }) =>
      unless(!hasRoot(tree) || tree?.program('bin/bash', 'usr/bin/bash') !== undefined, 'there is no /bin/bash'),
  },
  {
    id: 'system.machine',
    severity: 'error',
    title: 'Programs are for the architecture that MAAS is told',
    why: 'The image is deployed on machines that cannot run it: every command in the target fails.',
    source: 'maas src/maasserver/rpc/boot.py; the machines are chosen by architecture',
    mend: 'Declare the architecture of the image, or build it for the one declared.',
    for: { of: 'system' },
    check: (facts) => {
      const found = programMachine(facts.tree);
      const want = facts.artifact.machine;
      if (found === undefined || want === undefined) return HOLDS;
      return unless(found.machine === want, `it is for ${found.machine}, MAAS is told ${want}`, `/${found.path}`);
    },
  },
  {
    id: 'system.packages',
    severity: 'warning',
    title: 'The package database can be read',
    why: 'The package manager of the deployed machine meets the same damage.',
    source: 'dpkg, rpm',
    mend: 'Repair it in the image: dpkg --configure -a, or rpm --rebuilddb.',
    for: { of: 'system' },
    check: ({ tree }) => unless(tree?.packagesProblem === undefined, tree?.packagesProblem ?? ''),
  },
  {
    id: 'system.directories',
    severity: 'warning',
    title: 'The mount points of the kernel are there and empty, and /tmp is open to all',
    why: 'curtin binds /dev, /proc, /run and /sys into the target, and programs of users fail without a 1777 /tmp.',
    source: 'curtin curtin/util.py, ChrootableTarget',
    mend: 'Have the directories in the image, nothing in /proc and /sys, and chmod 1777 /tmp.',
    for: { of: 'system' },
    check: ({ tree }) => (tree === undefined || !hasRoot(tree) ? HOLDS : directoryProblems(tree)),
  },
  {
    id: 'system.capabilities',
    severity: 'warning',
    title: 'newuidmap and newgidmap have their right to map ids',
    why: 'Without file capabilities or the set-uid bit they fail, and rootless containers with them; capabilities are what archives lose first.',
    source: 'curtin curtin/commands/extract.py, --xattrs-include=*',
    mend: 'Pack with extended attributes (compose pack does), or reinstall the package uidmap or shadow-utils in the image.',
    for: { of: 'system' },
    check: ({ tree }) =>
      ['usr/bin/newuidmap', 'usr/bin/newgidmap']
        .filter((path) => tree?.node(path) !== undefined && !mapsIds(tree, path))
        .map((path) => ({ message: 'it has neither capabilities nor the set-uid bit', path: `/${path}` })),
  },
  {
    id: 'system.times',
    severity: 'warning',
    title: 'No file is of the future',
    why: 'GNU tar says so for each, and make, apt and systemd take new files for old ones.',
    source: 'GNU tar; seen with 1.34',
    mend: "Set the build host's clock, or SOURCE_DATE_EPOCH, which compose sets later times back to.",
    for: { of: 'system' },
    check: ({ tree }) => {
      const limit = BigInt(Date.now()) * 1_000_000n + DAY;
      for (const [path, { mtime }] of tree?.entries ?? [])
        if (mtime > limit)
          return [
            { message: `it was changed at ${new Date(Number(mtime / 1_000_000n)).toISOString()}`, path: `/${path}` },
          ];
      return HOLDS;
    },
  },
];

/** Whether the tree is one at all; other rules say nothing about what is none. */
export function hasRoot(tree: TreeFacts | undefined): boolean {
  return tree?.node('etc')?.kind === 'directory' && (tree.node('usr') ?? tree.node('bin')) !== undefined;
}

/** The machine that programs of the tree are for, and which one told it. */
export function programMachine(
  tree: TreeFacts | undefined,
): { readonly machine: Machine; readonly path: string } | undefined {
  if (tree === undefined) return undefined;
  const libraries = [...tree.entries.keys()].filter((path) => LIBRARY.test(path));
  for (const path of [...PROGRAMS, ...libraries]) {
    const machine = elfMachine(tree.bytes(path) ?? new Uint8Array(0));
    if (machine !== undefined) return { machine, path };
  }
  return undefined;
}

function directoryProblems(tree: TreeFacts): Problem[] {
  const problems: Problem[] = [];
  for (const path of ['dev', 'proc', 'run', 'sys', 'tmp']) {
    const entry = tree.node(path);
    if (entry?.kind !== 'directory') problems.push({ message: 'it is no directory', path: `/${path}` });
    else if (path === 'tmp' && (entry.mode & 0o7777) !== 0o1777)
      problems.push({ message: `its mode is ${(entry.mode & 0o7777).toString(8)}`, path: '/tmp' });
    else if ((path === 'proc' || path === 'sys') && tree.inside(path).length > 0)
      problems.push({ message: `there are ${tree.inside(path).length} names in it`, path: `/${path}` });
  }
  return problems;
}

function mapsIds(tree: TreeFacts, path: string): boolean {
  const entry = tree.node(path);
  const capability = entry?.xattrs.some(({ name }) => Buffer.from(name).toString() === 'security.capability');
  return capability === true || ((entry?.mode ?? 0) & 0o4000) !== 0;
}

/** A program's first line, `#!` taken off, and whether what it names is in the tree; undefined for what is no script. */
export function interpreterOf(
  tree: TreeFacts,
  path: string,
): { readonly line: string; readonly there: boolean } | undefined {
  const bytes = tree.bytes(path);
  if (bytes === undefined || bytes[0] !== 0x23 || bytes[1] !== 0x21) return undefined;
  const line = (Buffer.from(bytes).toString('utf8').split('\n', 1)[0] ?? '').slice(2).trimStart();
  const [program = '', argument = ''] = line.split(/[ \t]+/);
  const named = program.endsWith('/env') ? argument : program;
  const there = named.startsWith('/') ? tree.program(named.slice(1)) !== undefined : tree.command(named) !== undefined;
  return { line, there };
}

/** What is wrong with calling a command of the target; undefined where it can be called. */
export function whyNotCallable({ tree }: Facts, name: string): Problem | undefined {
  if (tree === undefined || !hasRoot(tree)) return undefined;
  const path = tree.command(name);
  if (path === undefined) return { message: `there is no ${name} that can be executed` };
  const script = interpreterOf(tree, path);
  if (script === undefined || script.there) return undefined;
  return { message: `its interpreter is not in the image (#!${script.line})`, path: `/${path}` };
}
