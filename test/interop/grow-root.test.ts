import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packageRoot } from '../../src/host/built-module.ts';

const run = promisify(execFile);
const script = join(packageRoot(), 'recipes/debian/grow-root');
const UNFINISHED = 'grow-root.unfinished';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-grow-'));
  await mkdir(join(folder, 'bin'));
  await mkdir(join(folder, 'state'));
  await mkdir(join(folder, 'block/nvme0n1p2'), { recursive: true });
  await writeFile(join(folder, 'block/nvme0n1p2/partition'), '2\n');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Machine {
  readonly growpart?: number;
  readonly free?: number;
  readonly pvresize?: number;
  /** Physical volumes of the group. */
  readonly physical?: string;
}

/** Runs it on a machine whose commands answer as given, and tells which of those that change something were called. */
async function grow({ growpart = 0, free = 509, pvresize = 0, physical = '  /dev/nvme0n1p2' }: Machine = {}) {
  const calls = join(folder, 'calls');
  await rm(calls, { force: true });
  const note = `echo "$(basename "$0") $*" >> ${calls}`;
  const commands: Record<string, string> = {
    findmnt: 'echo /dev/mapper/system-root',
    lvs: 'echo "  system"',
    pvs: `printf '%s\\n' '${physical}'`,
    vgs: `echo "  ${free}"`,
    lsblk: 'echo nvme0n1',
    growpart: `${note}; exit ${growpart}`,
    pvresize: `${note}; exit ${pvresize}`,
    lvextend: note,
    resize2fs: note,
  };
  for (const [name, body] of Object.entries(commands)) {
    await writeFile(join(folder, 'bin', name), `#!/bin/sh\n${body}\n`);
    await chmod(join(folder, 'bin', name), 0o755);
  }
  const env = {
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    GROW_ROOT_STATE: join(folder, 'state'),
    GROW_ROOT_BLOCK: join(folder, 'block'),
  };
  const failed = await run('sh', [script], { env }).then(
    () => false,
    () => true,
  );
  const called = await readFile(calls, 'utf8').catch(() => '');
  return { failed, called: called.split('\n').filter(Boolean), left: await readdir(join(folder, 'state')) };
}

const ALL = [
  'growpart /dev/nvme0n1 2',
  'pvresize /dev/nvme0n1p2',
  'lvextend --extents +100%FREE /dev/mapper/system-root',
  'resize2fs /dev/mapper/system-root',
];

test('on a larger disk partition, physical volume, volume and file system grow', async () => {
  expect(await grow()).toEqual({ failed: false, called: ALL, left: [] });
});

test('where the partition cannot grow, nothing else is touched, also when the group has free space', async () => {
  expect(await grow({ growpart: 1 })).toEqual({ failed: false, called: [ALL[0]], left: [] });
});

test('a run that was cut short goes on at the next boot, although the partition has all then', async () => {
  expect(await grow({ pvresize: 5 })).toEqual({ failed: true, called: ALL.slice(0, 2), left: [UNFINISHED] });
  expect(await grow({ growpart: 1 })).toEqual({ failed: false, called: ALL, left: [] });
});

test('a volume that has the whole group already only gets its file system grown', async () => {
  expect((await grow({ free: 0 })).called).toEqual([ALL[0], ALL[1], ALL[3]]);
});

test('a partition that could not be grown fails the unit', async () => {
  expect(await grow({ growpart: 2 })).toEqual({ failed: true, called: [ALL[0]], left: [UNFINISHED] });
});

test('a group on several disks stays as it is', async () => {
  expect(await grow({ physical: '  /dev/sda2\n  /dev/sdb1' })).toEqual({ failed: false, called: [], left: [] });
});
