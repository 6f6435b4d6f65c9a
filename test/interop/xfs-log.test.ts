import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { scratch, whileMounted } from '../../fixtures/ext4-image.ts';
import { makeXfs, whyNoXfsMount, xfsDb } from '../../fixtures/xfs-image.ts';
import { readBytes } from '../../src/disk/block-source.ts';
import { openDisk } from '../../src/disk/open.ts';
import { openXfs } from '../../src/filesystem/xfs/open.ts';

const run = promisify(execFile);
const noMount = await whyNoXfsMount();
let folder: Awaited<ReturnType<typeof scratch>>;
beforeAll(async () => {
  folder = await scratch();
});
afterAll(() => folder[Symbol.asyncDispose]());

const clean = async (image: string): Promise<boolean> => {
  await using disk = await openDisk(image, { format: 'raw' });
  return (await openXfs(disk)).clean;
};
const shell = (script: string, ...args: string[]): Promise<unknown> => run('sh', ['-ec', script, 'sh', ...args]);

test.skipIf(noMount !== undefined).each([
  ['the default', [], 'rw'],
  ['long records', ['-l', 'su=256k'], 'rw,logbsize=256k'],
  ['long sectors', ['-s', 'size=4096', '-l', 'size=16m'], 'rw'],
])(
  `tells a log to replay from one that is not, with %s${noMount ? ` (${noMount})` : ''}`,
  async (name, args, options) => {
    const image = await makeXfs(join(folder.path, name), '192M', args);
    const copy = join(folder.path, `${name} copy`);
    expect(await clean(image), 'as made').toBe(true);
    await whileMounted(image, `${options},nouuid`, async (path) => {
      await shell('cd "$1"; for i in $(seq 200); do echo $i > f$i; done; sync', path);
      await shell('sync -f "$1"; cp --sparse=always "$1" "$2"', image, copy);
    });
    expect(await clean(copy), 'copied while mounted').toBe(false);
    expect(await clean(image), 'unmounted').toBe(true);
    await whileMounted(image, `${options},nouuid`, async (path) => {
      await shell('cd "$1"; rm f*5; mkdir d; sync; xfs_io -x -c "shutdown -f" .', path);
    });
    expect(await clean(image), 'shut down').toBe(false);
    await whileMounted(image, `${options},nouuid`, async () => {});
    expect(await clean(image), 'replayed').toBe(true);
    await xfsDb(image, ['logformat -c 77']);
    expect(await clean(image), 'formatted').toBe(true);
  },
);

test.skipIf(noMount !== undefined)('follows a log around its end', async () => {
  const image = await makeXfs(join(folder.path, 'ring'), '64M', ['-l', 'size=1400b']);
  await whileMounted(image, 'rw,nouuid', (path) => shell('cd "$1"; seq 3000 | xargs touch', path));
  const rounds: number[] = [];
  const states: boolean[] = [];
  // How much a round writes is the kernel's choice: as many rounds as it takes, and at least one behind the log's end.
  const passedEnd = (): boolean => new Set(rounds).size > 1;
  for (let i = 0; i < 6 || (!passedEnd() && i < 40); i++) {
    await whileMounted(image, 'rw,nouuid', async (path) => {
      const date = `@${1_000_000_000 + i}`;
      await shell(
        `cd "$1"; find . -type f | xargs touch -d ${date}; sync; find . -type f | xargs touch -d ${date}.5; sync`,
        path,
      );
      await shell('sync -f "$1"; cp --sparse=always "$1" "$2"', image, `${image}-copy`);
    });
    states.push(await clean(image), await clean(`${image}-copy`));
    await using disk = await openDisk(image, { format: 'raw' });
    const { logStart, groupBlocksLog, groupBlocks, blockSize } = (await openXfs(disk)).volume.superblock;
    const group = Math.floor(logStart / 2 ** groupBlocksLog);
    const block = group * groupBlocks + (logStart % 2 ** groupBlocksLog);
    rounds.push(Buffer.from(await readBytes(disk, block * blockSize, 8)).readUInt32BE(4));
  }
  expect(states).toEqual(rounds.flatMap(() => [true, false]));
  expect(passedEnd()).toBe(true);
});
