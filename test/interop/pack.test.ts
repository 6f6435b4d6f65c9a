import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDisk } from '../../fixtures/ext4-disk.ts';
import { debugfs, e2fsckComplaints, makeImage, scratch, whyNoMount } from '../../fixtures/ext4-image.ts';
import { makeSampleTree } from '../../fixtures/ext4-tree.ts';
import { describeTree, extractAsCurtin, mountReadOnly, treeDifferences } from '../../fixtures/reference-tree.ts';
import { openDisk } from '../../src/disk/open.ts';
import { quietContext } from '../../src/events.ts';
import { readTar } from '../../src/formats/tar/reader.ts';
import type { FileType } from '../../src/pack/filetypes.ts';
import { type PackOptions, pack } from '../../src/pack/pack.ts';
import { inspect } from '../../src/verify/inspect-artifact.ts';

const run = promisify(execFile);
const BIG = { maxBuffer: 512 * 1024 * 1024, encoding: 'buffer' } as const;
const ROOT_START = 1024 * 1024;
const root = process.getuid?.() === 0;
const noMount = await whyNoMount();

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('a disk with one of everything', () => {
  let place: Awaited<ReturnType<typeof scratch>>;
  let raw = '';
  let qcow2 = '';
  /** The artifacts with no seal, in every filetype. */
  let plain = '';

  beforeAll(async () => {
    place = await scratch();
    const tree = join(place.path, 'tree');
    await mkdir(tree);
    await makeSampleTree(tree);
    await writeFile(join(tree, 'etc/os-release'), 'ID=sample\n');
    await mkdir(join(tree, 'etc/ssh'));
    await writeFile(join(tree, 'etc/ssh/ssh_host_ed25519_key'), 'a secret of this machine', { mode: 0o600 });
    const volume = await makeImage(join(place.path, 'root.ext4'), { mkfs: ['-t', 'ext4'], size: '96M', tree });
    raw = await makeDisk(join(place.path, 'disk.raw'), [{ content: volume }]);
    qcow2 = join(place.path, 'disk.qcow2');
    await run('qemu-img', ['convert', '-c', '-O', 'qcow2', raw, qcow2]);
    plain = join(place.path, 'plain');
    await packed({ out: plain, seal: false, filetypes: ['tgz', 'ddgz', 'ddtgz', 'ddtar', 'ddraw'] });
  });
  afterAll(() => place[Symbol.asyncDispose]());

  async function packed(options: Partial<PackOptions> & { out: string; filetypes: FileType[] }): Promise<void> {
    await pack({ disk: qcow2, name: 'x', ...options }, quietContext());
  }

  test.skipIf(noMount !== undefined)(
    `curtin's tar restores what the kernel mounts (${noMount ?? 'as root'})`,
    async () => {
      await using mounted = await mountReadOnly(raw, ROOT_START);
      await using extracted = await extractAsCurtin(join(plain, 'x.tar.gz'));
      const expected = await describeTree(mounted.path);
      expect(expected.size).toBeGreaterThan(850);
      expect(treeDifferences(expected, await describeTree(extracted.path))).toEqual([]);
      expect((await stat(join(extracted.path, 'files/sparse'))).blocks).toBeLessThan(100);
    },
  );

  test('libarchive, Python and our own reader list the same members', async () => {
    const archive = join(plain, 'x.tar.gz');
    const script = `import sys, tarfile
for m in tarfile.open(sys.argv[1], errors="surrogateescape"):
    sys.stdout.buffer.write(m.name.strip("/").encode("utf-8", "surrogateescape") + b"\\0")`;
    const python = (await run('python3', ['-c', script, archive], BIG)).stdout.toString('latin1').split('\0');
    const { stdout } = await run('bsdtar', ['-tf', archive], { ...BIG, env: { ...process.env, LC_ALL: 'C' } });
    const ours: string[] = [];
    for await (const member of readTar(gunzipStream(archive))) {
      ours.push(Buffer.from(member.name).toString('latin1').replace(/\/$/, ''));
    }
    expect(ours.length).toBeGreaterThan(850);
    const strip = (name: string): string => name.replace(/^\.\/?/, '').replace(/\/$/, '');
    expect(python.slice(0, -1).map(strip)).toEqual(ours.map(strip));
    // bsdtar shows bytes it cannot print as \ooo, so names with them are counted only.
    expect(stdout.toString('latin1').trimEnd().split('\n')).toHaveLength(ours.length);
  });

  test('every reader of gzip inflates the same bytes', async () => {
    for (const file of ['x.tar.gz', 'x.dd.gz', 'x.dd.tar.gz']) {
      const archive = join(plain, file);
      const expected = sha256(gunzipSync(await readFile(archive)));
      for (const [command, ...args] of [
        ['gzip', '-dc'],
        ['pigz', '-dc'],
        ['busybox', 'gunzip', '-c'],
        ['python3', '-c', 'import gzip,shutil,sys; shutil.copyfileobj(gzip.open(sys.argv[1]), sys.stdout.buffer)'],
      ] as const) {
        const { stdout } = await run(command, [...args, archive], BIG);
        expect(sha256(stdout), `${command} of ${file}`).toBe(expected);
      }
    }
  });

  test.each([
    ['x.dd.gz', 'zcat "$1" | dd bs=4M conv=sparse of="$2" status=none'],
    ['x.dd.tar.gz', 'tar -xOzf - < "$1" | dd bs=4M conv=sparse of="$2" status=none'],
    ['x.dd.tar', 'tar -xOf - < "$1" | dd bs=4M conv=sparse of="$2" status=none'],
    ['x.dd', 'dd if="$1" bs=4M conv=sparse of="$2" status=none'],
  ])('%s restored as curtin does is the disk, byte for byte', async (file, command) => {
    const restored = join(place.path, `restored-${file}`);
    await run('bash', ['-euo', 'pipefail', '-c', command, 'bash', join(plain, file), restored]);
    await run('truncate', ['--size', String((await stat(raw)).size), restored]);
    await run('cmp', [raw, restored]);
  });

  test('xz and bzip2 outputs restore as curtin does it, and inspect reads them', async () => {
    const out = join(place.path, 'codecs');
    await packed({ out, seal: false, level: 1, filetypes: ['txz', 'ddxz', 'ddtxz', 'tbz', 'ddbz2', 'ddtbz'] });
    const restored = join(place.path, 'restored-codecs');
    for (const [file, command] of [
      ['x.dd.xz', 'xzcat "$1" | dd bs=4M conv=sparse of="$2" status=none'],
      ['x.dd.bz2', 'bzcat "$1" | dd bs=4M conv=sparse of="$2" status=none'],
      ['x.dd.tar.xz', 'tar -xJOf - < "$1" | dd bs=4M conv=sparse of="$2" status=none'],
      ['x.dd.tar.bz2', 'tar -xjOf - < "$1" | dd bs=4M conv=sparse of="$2" status=none'],
    ] as const) {
      await run('bash', ['-euo', 'pipefail', '-c', command, 'bash', join(out, file), restored]);
      await run('truncate', ['--size', String((await stat(raw)).size), restored]);
      await run('cmp', [raw, restored]);
      await rm(restored);
    }
    const tree = sha256(gunzipSync(await readFile(join(plain, 'x.tar.gz'))));
    expect(sha256((await run('xz', ['-dc', join(out, 'x.tar.xz')], BIG)).stdout)).toBe(tree);
    expect(sha256((await run('bzip2', ['-dc', join(out, 'x.tar.bz2')], BIG)).stdout)).toBe(tree);
    const expected = await inspect(join(plain, 'x.tar.gz'), quietContext());
    for (const [file, codec, engine] of [
      ['x.tar.xz', 'xz', 'liblzma'],
      ['x.tar.bz2', 'bzip2', 'libbz2'],
    ] as const) {
      expect(await inspect(join(out, file), quietContext())).toMatchObject({ system: expected.system });
      const disk = join(out, file.replace('tar', 'dd'));
      expect(await inspect(disk, quietContext())).toMatchObject({ format: `raw, compressed by ${codec}` });
      const record: unknown = JSON.parse(await readFile(join(out, `${file}.maas.json`), 'utf8'));
      expect(record).toMatchObject({ engine, engineVersion: expect.stringMatching(/^lib\w+ \d/), level: 1 });
    }
  }, 300_000);

  test('an engine of another codec is refused before the disk is read', async () => {
    const options = { out: plain, disk: '/nowhere', engine: 'zlib' as const, filetypes: ['txz' as const] };
    await expect(packed(options)).rejects.toMatchObject({ code: 'engine.unused', exitCode: 2 });
  });

  test('a raw output keeps its holes', async () => {
    const { blocks, size } = await stat(join(plain, 'x.dd'));
    expect(size).toBe((await stat(raw)).size);
    expect(blocks * 512).toBeLessThan(size / 2);
  });

  test('a sealed disk is sound, and holds neither the secrets nor their bytes', async () => {
    const out = join(place.path, 'sealed');
    await packed({ out, filetypes: ['ddraw', 'tgz'] });
    const bytes = await readFile(join(out, 'x.dd'));
    const volume = join(place.path, 'sealed.ext4');
    await writeFile(volume, bytes.subarray(ROOT_START));
    expect(await e2fsckComplaints(volume)).toBe('');
    expect(await debugfs(volume, 'stat /etc/machine-id')).toMatch(/Size: 0\b/);
    expect(await debugfs(volume, 'ls -p /etc/ssh')).not.toContain('ssh_host');
    expect(bytes.includes('a secret of this machine')).toBe(false);
    expect((await readFile(raw)).includes('a secret of this machine')).toBe(true);
    const tree = gunzipSync(await readFile(join(out, 'x.tar.gz')));
    expect(tree.includes('ssh_host_ed25519_key')).toBe(false);
  });

  test('the bytes depend neither on the number of workers nor on the form of the disk', async () => {
    const sums = new Set<string>();
    for (const [workers, disk] of [
      [1, raw],
      [3, qcow2],
    ] as const) {
      const out = join(place.path, `workers-${workers}`);
      await packed({ out, disk, workers, filetypes: ['tgz', 'ddgz', 'ddtgz'] });
      sums.add(await readFile(join(out, 'SHA256SUMS'), 'utf8'));
    }
    expect(sums.size).toBe(1);
  });

  test('both engines hold the same archive', async () => {
    const digests = new Set<string>();
    for (const engine of ['libdeflate', 'zlib'] as const) {
      const out = join(place.path, engine);
      await packed({ out, engine, filetypes: ['tgz'] });
      digests.add(sha256(gunzipSync(await readFile(join(out, 'x.tar.gz')))));
    }
    expect(digests.size).toBe(1);
  });

  test('a compressed cluster that does not inflate ends the packing and leaves nothing', async () => {
    const damaged = join(place.path, 'damaged.qcow2');
    const bytes = await readFile(qcow2);
    await using disk = await openDisk(qcow2);
    const stored = (await disk.locate(0, disk.size)).filter((extent) => extent.kind === 'compressed');
    expect(stored.length).toBeGreaterThan(10);
    const { offset, storedLength } = stored[5]!;
    bytes.fill(0xff, offset, offset + storedLength);
    await writeFile(damaged, bytes);
    const out = join(place.path, 'nothing');
    await expect(packed({ out, disk: damaged, filetypes: ['ddgz'], seal: false })).rejects.toMatchObject({
      exitCode: 7,
    });
    expect(await readdir(out)).toEqual([]);
  });

  test('an abort in the middle leaves nothing', async () => {
    const out = join(place.path, 'aborted');
    const controller = new AbortController();
    const context = {
      signal: controller.signal,
      emit: (event: { type: string }) => event.type === 'progress' && controller.abort(new Error('enough')),
    };
    await expect(pack({ disk: raw, out, name: 'x', filetypes: ['ddgz'], seal: false }, context)).rejects.toThrow();
    expect(await readdir(out).catch(() => [])).toEqual([]);
  });

  test.skipIf(!root)('owners and devices are numbers beyond what ustar holds (needs root)', async () => {
    const { stdout } = await run('tar', ['--numeric-owner', '-tvzf', join(plain, 'x.tar.gz')], BIG);
    expect(stdout.toString('latin1')).toMatch(/70000\/4000000000 .* \.?\/?files\/tiny/);
    expect(stdout.toString('latin1')).toMatch(/300,70000 .* \.?\/?links\/large/);
  });
});

async function* gunzipStream(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path);
  const bytes = gunzipSync(await file.readFile());
  await file.close();
  for (let at = 0; at < bytes.length; at += 1 << 16) yield bytes.subarray(at, at + (1 << 16));
}
