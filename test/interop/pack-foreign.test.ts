import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compose } from '../../fixtures/cli.ts';
import { makeDisk } from '../../fixtures/ext4-disk.ts';
import { makeImage, scratch } from '../../fixtures/ext4-image.ts';
import { makeSampleTree } from '../../fixtures/ext4-tree.ts';
import { haveTools, qemuIo, tool } from '../../fixtures/qemu-disk.ts';
import { quietContext } from '../../src/events.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import { which } from '../../src/host/tools.ts';
import { type PackOptions, pack } from '../../src/pack/pack.ts';

const tools = haveTools('qemu-img', 'qemu-io', 'qemu-nbd') && which('mke2fs') !== undefined;
const without = tools ? '' : ' (skipped: qemu-img, qemu-io, qemu-nbd or mke2fs is not installed)';

describe.skipIf(!tools)(`packing disks of other makers${without}`, () => {
  let place: Awaited<ReturnType<typeof scratch>>;
  let raw = '';
  let sums = '';

  beforeAll(async () => {
    place = await scratch();
    const tree = join(place.path, 'tree');
    await mkdir(tree);
    await makeSampleTree(tree);
    await tool('sh', '-c', `echo ID=sample > ${tree}/etc/os-release`);
    const volume = await makeImage(join(place.path, 'root.ext4'), { mkfs: ['-t', 'ext4'], size: '64M', tree });
    raw = await makeDisk(join(place.path, 'disk.raw'), [{ content: volume }]);
    sums = await packed(raw, 'raw');
  });
  afterAll(() => place[Symbol.asyncDispose]());

  async function packed(disk: string, name: string, more: Partial<PackOptions> = {}): Promise<string> {
    const out = join(place.path, `out-${name}`);
    await pack({ disk, out, name: 'x', filetypes: ['tgz', 'ddgz'], workers: 2, ...more }, quietContext());
    return readFile(join(out, 'SHA256SUMS'), 'utf8');
  }

  test.each([
    ['vmdk', 'subformat=monolithicSparse'],
    ['vmdk', 'subformat=streamOptimized'],
    ['vmdk', 'subformat=twoGbMaxExtentFlat'],
    ['vhdx', 'subformat=dynamic'],
    ['vpc', 'subformat=dynamic,force_size=on'],
    ['vpc', 'subformat=fixed,force_size=on'],
    ['vdi', 'static=off'],
    ['qcow2', 'compression_type=zstd'],
    ['qcow2', 'compression_type=zstd,extended_l2=on,cluster_size=256k'],
  ])('%s, %s gives the artifacts of the raw disk, byte for byte', async (driver, options) => {
    const image = join(place.path, `disk-${options}.${driver}`);
    const compress = driver === 'qcow2' ? ['-c'] : [];
    await tool('qemu-img', 'convert', ...compress, '-f', 'raw', '-O', driver, '-o', options, raw, image);
    expect(await packed(image, `${driver}-${options}`)).toBe(sums);
  });

  test('a slow consumer holds the server up, and memory stays bounded', async () => {
    const image = join(place.path, 'large.vmdk');
    await tool('qemu-img', 'create', '-q', '-f', 'vmdk', image, '1G');
    await qemuIo(image, ['write -P 5 0 150M', 'write -P 6 600M 100M'], 'vmdk');
    const script = `import { openDisk } from '${packageRoot()}/dist/src/disk/open.js';
import { Cutter } from '${packageRoot()}/dist/src/pack/cutter.js';
const disk = await openDisk(process.argv[1]);
let most = 0, jobs = 0;
const cutter = new Cutter(1 << 20, async (job) => {
  if (++jobs % 8 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  most = Math.max(most, process.memoryUsage().rss);
});
for (let at = 0; at < disk.size; at += 64 << 20) await cutter.data(disk, at, Math.min(64 << 20, disk.size - at));
await cutter.end();
await disk[Symbol.asyncDispose]();
console.log(JSON.stringify({ most, jobs }));`;
    const { most, jobs } = JSON.parse(await tool(process.execPath, '--input-type=module', '-e', script, image));
    expect(jobs).toBe(1024);
    expect(most).toBeLessThan(200 * 1024 * 1024);
  });

  test('compose pack and compose inspect take them by their names', async () => {
    const image = join(place.path, 'disk.vmdk');
    await tool('qemu-img', 'convert', '-f', 'raw', '-O', 'vmdk', raw, image);
    const out = join(place.path, 'cli');
    const done = await compose(['pack', image, '--format', 'ddgz', '--out', out]);
    expect(done.stderr).not.toContain('Cannot');
    expect(done.status).toBe(0);
    expect(await readdir(out)).toEqual(['SHA256SUMS', 'disk.dd.gz', 'disk.dd.gz.maas.json']);
    const told = await compose(['inspect', image, '--json']);
    expect(told.status).toBe(0);
    expect(JSON.parse(told.stdout)).toMatchObject({ format: 'vmdk', chain: [image], size: (await stat(raw)).size });
    const wrong = await compose(['inspect', image, '--disk-format', 'vdi']);
    expect(wrong.status).toBe(7);
    expect(wrong.stderr).toMatch(/disk\.not-served|vdi\./);
  });

  test('without qemu-nbd the package to install is named', async () => {
    const image = join(place.path, 'disk.vmdk');
    await tool('qemu-img', 'create', '-q', '-f', 'vmdk', image, '1M');
    // PATH has nothing; qemu-nbd is in none of the folders that are searched besides.
    const told = await compose(['inspect', image], { env: { PATH: place.path } });
    expect(told.status).toBe(3);
    expect(told.stderr).toContain('qemu-utils');
  });

  const linux = process.platform === 'linux' && which('setpriv') !== undefined;
  test.skipIf(!linux)(`a compose that is killed leaves no server${linux ? '' : ' (skipped: no setpriv)'}`, async () => {
    const image = join(place.path, 'held.vmdk');
    await tool('qemu-img', 'create', '-q', '-f', 'vmdk', image, '1M');
    const script = `import { openDisk } from '${packageRoot()}/dist/src/disk/open.js';
const disk = await openDisk(process.argv[1]); console.log('open'); setInterval(() => disk, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, image], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    let server: string | undefined;
    for (const one of await childrenOf(child)) {
      // The other child is what removes compose's own files.
      if ((await readFile(`/proc/${one}/cmdline`, 'latin1')).startsWith('/usr/bin/qemu-nbd')) server = one;
    }
    expect(server).toBeDefined();
    child.kill('SIGKILL');
    // A process that ends has no exe already while it still closes its files (state D), and stays a zombie until it is reaped.
    const state = () => readFile(`/proc/${server}/stat`, 'latin1').catch(() => 'gone');
    await expect.poll(state).toMatch(/^gone$|\) [ZX] /);
  });
});

async function childrenOf(child: ChildProcess): Promise<string[]> {
  return (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'latin1')).trim().split(' ');
}
