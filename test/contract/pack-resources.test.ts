/** What packing costs beside its time: memory, space, and how often the disk is read. The worst for memory is noise. */
import { linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { makeImage } from '../../fixtures/ext4-image.ts';
import { evict, measuredCompose, type Used, whyNoReads } from '../../fixtures/measured-compose.ts';
import { incompressibleDisk } from '../../fixtures/noise-disk.ts';
import { smallFilesDisk } from '../../fixtures/small-files-disk.ts';
import { treeFolder } from '../../fixtures/tree-folder.ts';
import { FILE_TYPES } from '../../src/pack/filetypes.ts';

// A minute of processor time alone is xz with noise; beside other work it was seen to take five.
vi.setConfig({ testTimeout: 900_000, hookTimeout: 900_000 });

const MIB = 1024 * 1024;
const RECORDS = '--manifest --packages --sbom spdx,cyclonedx';
let folder = '';
/** Noise for gzip, and soon done by xz. */
let long = '';
/** Three chunks of noise for xz: as many are in memory where two workers make one output. */
let three = '';
/** Two chunks: as many are in memory for each output where there are several. */
let two = '';
let small = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-resources-'));
  long = await incompressibleDisk(folder, 'long.raw', { noise: MIB, repeated: 240 * MIB });
  three = await incompressibleDisk(folder, 'three.raw', { noise: 44 * MIB, repeated: 100 * MIB });
  two = await incompressibleDisk(folder, 'two.raw', { noise: 29 * MIB, repeated: 16 * MIB });
  small = await incompressibleDisk(folder, 'small.raw', { noise: 4096, repeated: 4096 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function diskFor(formats: string): string {
  if (formats.startsWith('tgz ') || formats === 'tgz') return long;
  return formats.endsWith('xz') ? three : two;
}

/** Bytes of a disk that are on storage. */
const allocated = async (path: string): Promise<number> => (await stat(path)).blocks * 512;

/** Packs a disk; `formats` is what follows `--format`. */
async function packed(path: string, formats: string): Promise<Used> {
  // Memory is that of two workers, whatever the host has.
  const args = ['pack', path, '--name', 'x', '--log', 'plain', '--workers', '2', '--tuning=false'];
  const used = await measuredCompose(folder, [...args, '--format', ...formats.split(' ')]);
  expect(used, used.stderr).toMatchObject({ status: 0 });
  return used;
}

test.each(['tgz', 'txz', 'tbz', 'ddxz', `tgz ${RECORDS}`, 'tgz --engine zlib', Object.keys(FILE_TYPES).join(',')])(
  '%s stays within 300 MiB of memory and keeps nothing beside what it makes',
  async (formats) => {
    const { peakMemory, given, peakOut, out, temporary } = await packed(diskFor(formats), formats);
    expect(peakMemory).toBeLessThan(300 * MIB);
    // A process that was not measured would have none.
    expect(peakMemory).toBeGreaterThan(40 * MIB);
    expect(temporary).toEqual([]);
    expect(peakOut).toBeLessThan(out + 64 * MIB);
    // Every byte is written once, wherever in the host: what no sample saw is in it.
    expect(given).toBeLessThan(out + MIB);
  },
);

test('all filetypes of a tree of small files, with every record, do not need more', async () => {
  const disk = await smallFilesDisk(folder, 'files.raw', 150);
  const { peakMemory } = await packed(disk, `${Object.keys(FILE_TYPES).join(',')} ${RECORDS}`);
  expect(peakMemory).toBeLessThan(300 * MIB);
});

test('100,000 empty files with two names each do not need more: with every record, and where chunks of many headers are large', async () => {
  const disk = join(folder, 'linked.raw');
  await using scratch = await treeFolder(folder);
  const tree = scratch.path;
  for (const path of ['etc', 'sbin']) mkdirSync(join(tree, path));
  writeFileSync(join(tree, 'etc/os-release'), 'ID=debian\n');
  for (let at = 0; at < 100_000; at++) {
    const place = join(tree, `objects-${Math.floor(at / 100)}`);
    if (at % 100 === 0) mkdirSync(place);
    const name = join(place, `file-with-a-longer-name-${at}`);
    writeFileSync(name, '');
    linkSync(name, `${name}-again`);
  }
  await makeImage(disk, { mkfs: ['-t', 'ext4', '-N', '110000'], size: '200M', tree });
  for (const formats of [`tgz ${RECORDS}`, 'txz']) {
    const { peakMemory } = await packed(disk, formats);
    expect(peakMemory, formats).toBeLessThan(300 * MIB);
  }
});

test('a tree and a disk with every record are made of one reading of the storage', async (context) => {
  const reason = await whyNoReads(folder);
  if (reason !== undefined) return context.skip(reason);
  const formats = `tgz,ddgz,txz,ddraw ${RECORDS} --level 1`;
  // What node loads is in the cache then.
  await packed(small, formats);
  await evict(long);
  const { fromStorage } = await packed(long, formats);
  const bytes = await allocated(long);
  expect(fromStorage).toBeGreaterThan(0.5 * bytes);
  expect(fromStorage).toBeLessThan(1.05 * bytes);
});

test.each([`tgz,txz,tbz ${RECORDS} --level 1`, 'ddgz,ddxz,ddraw --level 1'])(
  '%s asks for each byte once, without the help of a cache',
  async (formats) => {
    // What node asks for itself.
    const { asked: besides } = await packed(small, formats);
    const { asked } = await packed(two, formats);
    const bytes = await allocated(two);
    expect(asked - besides).toBeGreaterThan(0.5 * bytes);
    expect(asked - besides).toBeLessThan(1.1 * bytes);
  },
);
