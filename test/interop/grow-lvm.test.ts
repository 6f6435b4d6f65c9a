import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packageRoot } from '../../src/host/built-module.ts';

const run = promisify(execFile);
const script = join(packageRoot(), 'recipes/grow-lvm.sh');

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-grow-'));
  await mkdir(join(folder, 'bin'));
  // /sys of a disk sdz with its third partition.
  await mkdir(join(folder, 'sys/devices/sdz/sdz3'), { recursive: true });
  await writeFile(join(folder, 'sys/devices/sdz/sdz3/partition'), '3\n');
  await mkdir(join(folder, 'sys/class/block'), { recursive: true });
  await symlink('../../devices/sdz/sdz3', join(folder, 'sys/class/block/sdz3'));
  const said = {
    df: 'printf "Filesystem 1024-blocks\\n/dev/mapper/system-root 1000\\n"',
    lvs: 'echo "  system"',
    vgs: 'case "$*" in *pv_name*) echo "  /dev/sdz3" ;; *) echo "  $FREE" ;; esac',
  };
  const asked = { growpart: 'exit $GROWPART', pvresize: '', lvextend: '' };
  for (const [name, body] of Object.entries({ ...said, ...asked })) {
    const note = name in asked ? `echo "${name} $*" >> "${folder}/calls"\n` : '';
    await writeFile(join(folder, 'bin', name), `#!/bin/sh\n${note}${body}\n`);
    await chmod(join(folder, 'bin', name), 0o755);
  }
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function grow(free: string, growpart: string): Promise<{ calls: string[]; failed: boolean }> {
  const env = {
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    COMPOSE_SYS: join(folder, 'sys'),
    FREE: free,
    GROWPART: growpart,
  };
  const failed = await run(script, [], { env }).then(
    () => false,
    () => true,
  );
  const calls = await readFile(join(folder, 'calls'), 'utf8').catch(() => '');
  return { calls: calls.split('\n').filter(Boolean), failed };
}

test('partition, physical volume and logical volume grow to the end of the disk', async () => {
  expect(await grow('1048576', '0')).toEqual({
    failed: false,
    calls: ['growpart /dev/sdz 3', 'pvresize /dev/sdz3', 'lvextend -r -l +100%FREE /dev/mapper/system-root'],
  });
});

test('a disk that has no more room is left as it is', async () => {
  expect(await grow('0', '1')).toEqual({ failed: false, calls: ['growpart /dev/sdz 3', 'pvresize /dev/sdz3'] });
});

test('a partition table that cannot be changed is told of', async () => {
  expect((await grow('1048576', '2')).failed).toBe(true);
});
