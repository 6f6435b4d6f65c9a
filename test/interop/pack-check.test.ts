import { execFile } from 'node:child_process';
import { mkdir, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDisk } from '../../fixtures/ext4-disk.ts';
import { e2fsckComplaints, makeImage, scratch } from '../../fixtures/ext4-image.ts';
import { makeSampleTree } from '../../fixtures/ext4-tree.ts';
import { random } from '../../fixtures/fuzz.ts';
import { openDisk } from '../../src/disk/open.ts';
import { quietContext } from '../../src/events.ts';
import { findRoot } from '../../src/filesystem/root.ts';
import { type CheckOptions, checkDisk, checkTree } from '../../src/pack/check.ts';
import { pack } from '../../src/pack/pack.ts';
import { FileSink } from '../../src/pack/sink.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;

describe('an artifact read back', () => {
  let place: Awaited<ReturnType<typeof scratch>>;
  let raw = '';
  let archive: Buffer;

  beforeAll(async () => {
    place = await scratch();
    const tree = join(place.path, 'tree');
    await mkdir(tree);
    await makeSampleTree(tree);
    await writeFile(join(tree, 'etc/os-release'), 'ID=sample\n');
    const volume = await makeImage(join(place.path, 'root.ext4'), { mkfs: ['-t', 'ext4'], size: '64M', tree });
    raw = await makeDisk(join(place.path, 'disk.raw'), [{ content: volume }]);
    const out = join(place.path, 'plain');
    await pack({ disk: raw, out, name: 'x', filetypes: ['tgz'], seal: false }, quietContext());
    archive = gunzipSync(await readFile(join(out, 'x.tar.gz')));
  });
  afterAll(() => place[Symbol.asyncDispose]());

  test.each([
    ['sealed', undefined],
    ['as it is', false],
  ] as const)('equals the disk in every filetype, %s', async (name, seal) => {
    const out = join(place.path, `checked-${name}`);
    const filetypes = ['tgz', 'ddgz', 'ddtgz', 'ddtar', 'ddraw', 'txz'] as const;
    const how = seal === undefined ? {} : { seal };
    const { artifacts } = await pack({ disk: raw, out, name: 'x', filetypes, check: true, ...how }, quietContext());
    const { size } = await stat(raw);
    for (const { filetype, checked, entries } of artifacts) {
      if (filetype === 'tgz' || filetype === 'txz') expect(checked?.entries).toBe(entries);
      else expect(checked).toEqual({ entries: 1, bytes: size });
    }
  });

  const options = (path: string): CheckOptions => ({
    path,
    compression: 'gzip',
    file: 'x.tar.gz',
    signal: new AbortController().signal,
  });

  /** What the check says of the archive with `change` made to it. */
  async function verdict(change: (bytes: Buffer) => Buffer): Promise<string> {
    const path = join(place.path, `changed-${Math.abs(change.toString().length)}.tar.gz`);
    await writeFile(path, gzipSync(change(Buffer.from(archive)), { level: 1 }));
    await using disk = await openDisk(raw);
    const { tree } = await findRoot(disk);
    return await checkTree(options(path), tree, undefined).then(
      () => 'equal',
      (error: { code: string; message: string }) => `${error.code} ${error.message}`,
    );
  }

  /** Where the header of the member whose name ends so begins. */
  function header(name: string): number {
    for (let at = 0; at < archive.length; at += 512) {
      const found = archive.toString('latin1', at, archive.indexOf(0, at));
      if (found === name && archive.toString('latin1', at + 257, at + 262) === 'ustar') return at;
    }
    throw new Error(`no ${name}`);
  }

  /** Sets bytes of a header and makes its checksum right again. */
  function edited(bytes: Buffer, at: number, offset: number, text: string): Buffer {
    bytes.write(text, at + offset, 'latin1');
    bytes.fill(0x20, at + 148, at + 156);
    let sum = 0;
    for (let i = 0; i < 512; i++) sum += bytes[at + i]!;
    bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
    return bytes;
  }

  test('equals while it is unchanged', async () => {
    expect(await verdict((bytes) => bytes)).toBe('equal');
  });

  test.each([
    [
      'one bit of a file',
      (bytes: Buffer) =>
        bytes.fill(
          bytes[header('./etc/os-release') + 512]! ^ 1,
          header('./etc/os-release') + 512,
          header('./etc/os-release') + 513,
        ),
      /byte 0/,
    ],
    ['a mode', (bytes: Buffer) => edited(bytes, header('./etc/os-release'), 100, '0000600\0'), /mode/],
    ['an owner', (bytes: Buffer) => edited(bytes, header('./etc/os-release'), 108, '0001747\0'), /owner/],
    ['a name', (bytes: Buffer) => edited(bytes, header('./etc/os-release'), 0, './etc/os-reloose'), /name/],
    ['a type', (bytes: Buffer) => edited(bytes, header('./etc/key0'), 156, '6'), /type|damaged/],
  ])('is refused with %s changed', async (_, change, words) => {
    const said = await verdict(change);
    expect(said).toMatch(/^(check\.differs|tar\.)/);
    expect(said).toMatch(words);
  });

  test('is refused with a member too few', async () => {
    const at = header('./etc/os-release');
    expect(await verdict((bytes) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1024)]))).toMatch(
      /check\.differs .*\(name\)/,
    );
    expect(await verdict((bytes) => Buffer.concat([bytes.subarray(0, at), Buffer.alloc(1024)]))).toMatch(
      /check\.differs .*\(entry\)/,
    );
  });

  test('a disk is refused with one bit changed, or an end too early', async () => {
    const bytes = await readFile(raw);
    await using disk = await openDisk(raw);
    const path = join(place.path, 'changed.dd');
    const read = { ...options(path), compression: 'none' as const, file: 'x.dd' };
    await writeFile(path, bytes);
    expect(await checkDisk(read, disk, false)).toEqual({ entries: 1, bytes: bytes.length });
    bytes[5 * MIB]! ^= 0x40;
    await writeFile(path, bytes);
    await expect(checkDisk(read, disk, false)).rejects.toMatchObject({
      code: 'check.differs',
      message: expect.stringContaining(`byte ${5 * MIB}`),
    });
    await writeFile(path, (await readFile(raw)).subarray(0, 20 * MIB));
    await expect(checkDisk(read, disk, false)).rejects.toMatchObject({ message: expect.stringContaining('length') });
  });

  test('what is refused never gets its name', async () => {
    const out = join(place.path, 'refused');
    await using sink = await FileSink.create(join(out, 'x.dd'));
    await sink.write(new Uint8Array(10));
    await expect(sink.finish(() => Promise.reject(new Error('differs')))).rejects.toThrow('differs');
    expect((await readdir(out)).filter((name) => !name.startsWith('.'))).toEqual([]);
  });
});

describe('blocks that no file uses', () => {
  /** A disk whose root file system, made by `mkfs`, lies on old random bytes. */
  async function used(
    folder: string,
    size: number,
    mkfs: (path: string, tree: string) => Promise<unknown>,
  ): Promise<string> {
    const tree = join(folder, 'tree');
    await mkdir(join(tree, 'etc'), { recursive: true });
    await writeFile(join(tree, 'etc/os-release'), 'ID=sample\n');
    const volume = join(folder, 'volume');
    const next = random(3);
    const noise = new Uint8Array(MIB).map(() => next() & 0xff);
    const file = await open(volume, 'w');
    // Old bytes on the first 32 MiB are enough to tell.
    for (let at = 0; at < 32 * MIB; at += MIB) await file.write(noise, 0, MIB, at);
    await file.truncate(size);
    await file.close();
    await mkfs(volume, tree);
    return makeDisk(join(folder, 'disk.raw'), [{ content: volume }]);
  }

  const KINDS = [
    [
      'ext4',
      64 * MIB,
      (path: string, tree: string) => run('mke2fs', ['-q', '-F', '-t', 'ext4', '-E', 'nodiscard', '-d', tree, path]),
    ],
    [
      'xfs',
      320 * MIB,
      async (path: string, tree: string) => {
        const proto = `${path}.proto`;
        const text = `/stub\n0 0\nd--755 0 0\netc d--755 0 0\nos-release ---644 0 0 ${join(tree, 'etc/os-release')}\n$\n$\n`;
        await writeFile(proto, text);
        await run('mkfs.xfs', ['-q', '-f', '-K', '-p', proto, path]);
      },
    ],
  ] as const;

  test.each(KINDS)('of %s are packed as zeros, or kept when asked', async (kind, size, mkfs) => {
    await using place = await scratch();
    const disk = await used(place.path, size, mkfs);
    const sizes: number[] = [];
    for (const freeBlocks of ['zero', 'keep'] as const) {
      const out = join(place.path, freeBlocks);
      const options = { disk, out, name: 'x', filetypes: ['ddgz' as const], seal: false, freeBlocks, check: true };
      const { artifacts } = await pack(options, quietContext());
      sizes.push(artifacts[0]!.size);
    }
    expect(sizes[0]).toBeLessThan(3 * MIB);
    expect(sizes[1]).toBeGreaterThan(20 * MIB);
    const restored = join(place.path, 'restored');
    const bytes = gunzipSync(await readFile(join(place.path, 'zero/x.dd.gz')));
    await writeFile(restored, bytes.subarray(MIB, MIB + size));
    if (kind === 'ext4') expect(await e2fsckComplaints(restored)).toBe('');
    else await run('xfs_repair', ['-n', '-f', restored]);
    expect(gunzipSync(await readFile(join(place.path, 'keep/x.dd.gz'))).equals(await readFile(disk))).toBe(true);
  });

  test('of a disk with no root are packed as they are, and it is said', async () => {
    await using place = await scratch();
    const disk = join(place.path, 'data.raw');
    const next = random(5);
    await writeFile(
      disk,
      new Uint8Array(2 * MIB).map(() => next() & 0xff),
    );
    const out = join(place.path, 'out');
    const { notes } = await pack({ disk, out, name: 'x', filetypes: ['ddgz'], seal: false }, quietContext());
    expect(notes.join()).toContain('as they are');
    expect(gunzipSync(await readFile(join(out, 'x.dd.gz'))).equals(await readFile(disk))).toBe(true);
  });
});
