/** What an image brings for curtin: /curtin, and what its hooks are like. */
import type { Facts } from '../facts.ts';
import { HOLDS, type Problem, type Rule, unless } from '../rule.ts';
import type { TreeFacts } from '../tree-facts.ts';
import { interpreterOf } from './system.ts';

const HOOK = 'curtin curtin/util.py, run_hook_if_exists';
const FILES = ['curtin/curtin-hooks', 'curtin/finalize'] as const;
/** What an Ubuntu live system has, where hooks run. */
const IN_EPHEMERAL = ['sh', 'bash', 'dash', 'python3', 'perl'];

export const curtinRules: readonly Rule[] = [
  {
    id: 'curtin.directory',
    severity: 'error',
    title: 'A disk of Linux has /curtin on its root file system, and nowhere else',
    why: 'curtin mounts what it finds on the disk and takes the last file system with a directory of that name for the root; without one the deployment fails.',
    source: 'curtin curtin/block/__init__.py, get_root_device',
    mend: 'Make /curtin on the root file system (it may be empty), and remove it from others.',
    for: { of: 'disk' },
    check: ({ disk, artifact }) => {
      if (
        disk === undefined ||
        (disk.root === undefined && disk.rootProblem !== undefined) ||
        disk.tableProblems.length > 0
      )
        return HOLDS;
      if (artifact.maas.name?.startsWith('ubuntu-core/')) return HOLDS;
      const others = disk.curtin.filter(({ isRoot }) => !isRoot);
      if (others.length > 0)
        return [{ message: `it is on ${others.map(({ where }) => where).join(', ')}`, path: '/curtin' }];
      return unless(disk.curtin.length > 0, `${disk.root?.where ?? 'the disk'} has none`, '/curtin');
    },
  },
  {
    id: 'curtin.hook',
    severity: 'error',
    title: 'A disk of Linux brings its own steps',
    why: "curtin's own steps replace /etc/fstab of a dd image by an empty one: it boots with a root that cannot be written, and is reported as deployed. On UEFI they ask for a partition that is not mounted.",
    source: 'curtin curtin/commands/curthooks.py, copy_fstab; seen with 23.1.1',
    mend: 'Put an executable /curtin/curtin-hooks in the image; recipes/ has them.',
    for: { of: 'disk' },
    check: ({ disk, tree }) =>
      tree === undefined || !disk?.curtin.some(({ isRoot }) => isRoot)
        ? HOLDS
        : unless(tree.node('curtin/curtin-hooks') !== undefined, 'there is no curtin-hooks', '/curtin'),
  },
  {
    id: 'curtin.hook-mode',
    severity: 'error',
    title: 'Hooks are files that may be executed',
    why: 'curtin starts them as they are and ends with status 3.',
    source: HOOK,
    mend: 'chmod 755 /curtin/curtin-hooks.',
    for: { of: 'system' },
    check: hooks(({ tree, path }) => {
      const entry = tree.node(path);
      if (entry === undefined) return { message: 'it is a link that leads nowhere' };
      if (entry.kind !== 'file') return { message: `it is a ${entry.kind}` };
      return (entry.mode & 0o111) === 0 ? { message: `its mode is ${entry.mode.toString(8)}` } : undefined;
    }),
  },
  {
    id: 'curtin.hook-interpreter',
    severity: 'error',
    title: 'Hooks begin with an interpreter that is there',
    why: 'They run in the Ubuntu live system that deploys: /bin/sh, bash and python3 are there, "python" is not, and a line that ends with CR names none.',
    source: HOOK,
    mend: 'Begin with #!/bin/sh, #!/bin/bash or #!/usr/bin/env python3, lines ended by LF alone.',
    for: { of: 'system' },
    check: hooks(({ tree, path }) => {
      const bytes = tree.bytes(path);
      if (bytes === undefined) return undefined;
      if (isElf(bytes)) return undefined;
      const script = interpreterOf(tree, path);
      if (script === undefined) return { message: 'it does not begin with #!', line: 1 };
      if (script.line.endsWith('\r')) return { message: 'its lines end with CR', line: 1 };
      const [program = '', argument = ''] = script.line.split(/[ \t]+/);
      const name = program.endsWith('/env') ? argument : program.slice(program.lastIndexOf('/') + 1);
      if (!IN_EPHEMERAL.includes(name))
        return { message: `the live system has no ${name || 'such interpreter'} (#!${script.line})`, line: 1 };
      return script.there ? undefined : { message: `the image has none (#!${script.line})`, line: 1 };
    }),
  },
  {
    id: 'curtin.hook-covers',
    severity: 'warning',
    title: "Hooks do what curtin's own steps would have done",
    why: "With a hook all of them are left out: without cloud-init's settings the machine never reaches MAAS, without the network it has no address, a tree without fstab and boot loader does not start.",
    source: 'curtin curtin/commands/curthooks.py, main',
    mend: 'Write what is in CONFIG to /etc/cloud/cloud.cfg.d, the network, OUTPUT_FSTAB and the boot loader, or call builtin_curthooks.',
    for: { of: 'system', steps: 'hook' },
    check: ({ tree, tar }) => {
      const text = tree?.text('curtin/curtin-hooks');
      if (text === undefined || /curthooks/.test(text.replaceAll('curtin-hooks', ''))) return HOLDS;
      const wanted: (readonly [what: string, sign: RegExp])[] = [
        ["cloud-init's settings", /cloud\.cfg\.d|cloudconfig/],
        ['the network', /network/i],
      ];
      if (tar !== undefined) wanted.push(['fstab', /fstab/i], ['the boot loader', /grub|efibootmgr|bootctl/]);
      const missing = wanted.filter(([, sign]) => !sign.test(text)).map(([what]) => what);
      return unless(missing.length === 0, `it says nothing of ${missing.join(', ')}`, '/curtin/curtin-hooks');
    },
  },
];

interface Hook {
  readonly tree: TreeFacts;
  readonly path: string;
}

function hooks(judge: (hook: Hook) => Omit<Problem, 'path'> | undefined): (facts: Facts) => readonly Problem[] {
  return ({ tree }) =>
    FILES.flatMap((path): Problem[] => {
      if (tree === undefined || tree.own(path) === undefined) return [];
      const problem = judge({ tree, path });
      return problem === undefined ? [] : [{ ...problem, path: `/${path}` }];
    });
}

function isElf(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, 4)).toString('latin1') === '\x7fELF';
}
