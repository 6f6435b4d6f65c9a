import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeDisk } from '../../fixtures/ext4-disk.ts';
import { e2fsckComplaints, makeImage, scratch, whileMounted, whyNoMount } from '../../fixtures/ext4-image.ts';
import { makeXfs, whyNoXfsMount } from '../../fixtures/xfs-image.ts';
import { openDisk } from '../../src/disk/open.ts';
import type { ComposeError } from '../../src/errors.ts';
import { readPath } from '../../src/filesystem/file-tree.ts';
import { findRoot } from '../../src/filesystem/root.ts';

/** Disks that were copied while their file system was mounted. The hint's command, run as it stands, mends them. */

const run = promisify(execFile);
const noExt4 = await whyNoMount();
const noXfs = await whyNoXfsMount();
let folder: Awaited<ReturnType<typeof scratch>>;
let count = 0;

beforeAll(async () => {
  folder = await scratch();
});
afterAll(() => folder[Symbol.asyncDispose]());

/** A root file system whose last files are in the journal or log alone. */
async function dirtyRoot(kind: 'ext4' | 'ext2' | 'xfs'): Promise<string> {
  const path = join(folder.path, `root${count++}`);
  const image =
    kind === 'xfs' ? await makeXfs(path, '64M') : await makeImage(path, { mkfs: ['-t', kind], size: '16M' });
  const copy = `${image}-copy`;
  await whileMounted(image, kind === 'xfs' ? 'rw,nouuid' : 'rw', async (mounted) => {
    const script = `
      set -e
      mkdir "$1/etc"; echo ID=x > "$1/etc/os-release"; sync -f "$1"
      for i in $(seq 200); do echo $i > "$1/etc/f$i"; done; echo late > "$1/etc/late"
      sync "$1/etc/late" "$1/etc"
      sync -f "$2"; cp --sparse=always "$2" "$3"`;
    await run('sh', ['-c', script, 'sh', mounted, image, copy]);
  });
  await rm(image);
  return copy;
}

async function refusal(path: string): Promise<ComposeError> {
  await using disk = await openDisk(path);
  const error = await findRoot(disk).then(
    () => undefined,
    (thrown: ComposeError) => thrown,
  );
  if (error === undefined) throw new Error('it was not refused');
  return error;
}

/** What a person copies out of the hint. */
function commandOf(hint: string | undefined): string {
  const found = / as root: (.*?)(?:, and give compose .*)?$/.exec(hint ?? '');
  if (found === null) throw new Error(`no command in: ${hint}`);
  return found[1]!;
}

async function lateFile(path: string): Promise<string> {
  await using disk = await openDisk(path);
  const { tree } = await findRoot(disk);
  return Buffer.from((await readPath(tree, '/etc/late')) ?? '').toString();
}

const CASES = [
  ['ext4', noExt4, /^L=\$\(losetup -f --show -o 2097152 '.*it''?\\?.*'\) && e2fsck -fy \$L; losetup -d \$L$/],
  ['ext2', noExt4, /e2fsck -fy \$L/],
  ['xfs', noXfs, /^mount -o loop,nouuid,offset=2097152 '.*' \/mnt && umount \/mnt$/],
] as const;

for (const [kind, why, words] of CASES) {
  test.skipIf(why !== undefined)(`a dirty ${kind} in a raw disk is mended by the command of its refusal`, async () => {
    const name = join(folder.path, `it's a ${kind}.raw`);
    const disk = await makeDisk(name, [{ content: await small() }, { content: await dirtyRoot(kind) }]);
    const { code, hint, message } = await refusal(disk);
    expect(code).toBe(kind === 'xfs' ? 'xfs.not-clean' : 'ext4.not-clean');
    expect(message).toContain('partition 2');
    expect(hint).not.toContain('-L ');
    expect(commandOf(hint)).toMatch(words);
    await run('sh', ['-c', commandOf(hint)]);
    // An ext2 has no journal: what reached its disk is there.
    if (kind !== 'ext2') expect(await lateFile(disk)).toBe('late\n');
    else await lateFile(disk);
    // udev may hold a loop device for a moment more.
    await expect.poll(async () => (await run('losetup', ['-j', disk])).stdout).toBe('');
  });
}

test.skipIf(noExt4 !== undefined)('a dirty ext4 without a partition table is checked where it is', async () => {
  const path = await dirtyRoot('ext4');
  const command = commandOf((await refusal(path)).hint);
  expect(command).toBe(`e2fsck -fy ${path}`);
  // e2fsck answers 1 when it repaired something.
  await expect(run('sh', ['-c', command])).rejects.toMatchObject({ code: 1 });
  expect(await lateFile(path)).toBe('late\n');
  expect(await e2fsckComplaints(path)).toBe('');
});

test.skipIf(noExt4 !== undefined || noXfs !== undefined).each(['ext4', 'xfs'] as const)(
  'a dirty %s in a qcow2 is made raw first',
  async (kind) => {
    const raw = await makeDisk(join(folder.path, `${kind}-plain`), [{ content: await dirtyRoot(kind) }]);
    const image = join(folder.path, `${kind}.qcow2`);
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, image]);
    const { hint } = await refusal(image);
    expect(hint).toContain(`, and give compose ${image}.raw`);
    await run('sh', ['-c', commandOf(hint)]);
    expect(await lateFile(`${image}.raw`)).toBe('late\n');
    expect((await refusal(image)).code).toBe(`${kind}.not-clean`);
  },
);

test('without a file behind the disk the command has places to fill in', async () => {
  const debugfs = ['mkdir etc', 'mkdir sbin', 'mknod sbin/init p', 'set_super_value state 0'];
  const content = await makeImage(join(folder.path, 'state'), { mkfs: ['-t', 'ext4'], size: '8M', debugfs });
  const path = await makeDisk(join(folder.path, 'nameless'), [{ content }]);
  await using disk = await openDisk(path, { format: 'raw' });
  const { size, files, locate, read } = disk;
  const nameless = { size, files, locate, read, [Symbol.asyncDispose]: async () => {} };
  await expect(findRoot(nameless)).rejects.toMatchObject({
    hint: expect.stringContaining('$(losetup -f --show -o 1048576 DISK) && e2fsck -fy $L'),
  });
});

/** A file system that is no root. */
const small = (): Promise<string> =>
  makeImage(join(folder.path, `small${count++}`), { mkfs: ['-t', 'ext2'], size: '1M' });
