import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { processorMsOf } from '../../fixtures/clock.ts';
import { makeFuzzTree, mutatedImage, readAllExt4, usedPieces } from '../../fixtures/ext4-fuzz.ts';
import { makeImage, scratch } from '../../fixtures/ext4-image.ts';
import { random } from '../../fixtures/fuzz.ts';

const run = promisify(execFile);
const ROUNDS = 400;
let folder: Awaited<ReturnType<typeof scratch>>;

beforeAll(async () => {
  folder = await scratch();
  await makeFuzzTree(join(folder.path, 'tree'));
});
afterAll(() => folder[Symbol.asyncDispose]());

/** What has checksums rarely gets past them; the layouts are without, but for one of each. */
const PLAIN = '^has_journal,^metadata_csum';
const ext4 = (features: string, ...more: string[]): string[] => ['-t', 'ext4', '-b', '1024', '-O', features, ...more];

const LAYOUTS: readonly [name: string, mkfs: readonly string[], size: string, feature?: string][] = [
  ['checksums', ext4('^has_journal'), '256K', 'metadata_csum'],
  ['no checksums', ext4(PLAIN), '256K'],
  ['uninit_bg', ext4(`${PLAIN},uninit_bg`), '256K', 'uninit_bg'],
  ['inline data', ext4(`${PLAIN},inline_data`), '256K', 'inline_data'],
  ['block maps', ['-t', 'ext2', '-b', '1024'], '256K'],
  ['ea_inode', ext4(`${PLAIN},ea_inode`, '-I', '128'), '256K', 'ea_inode'],
  ['no extents', ext4(`${PLAIN},^extent,^64bit`), '256K'],
  ['32 bits', ext4(`${PLAIN},^64bit`), '256K'],
  ['bigalloc', ext4(`${PLAIN},bigalloc`, '-C', '4096'), '1M', 'bigalloc'],
  ['bigalloc with checksums', ext4('^has_journal,bigalloc', '-C', '4096'), '1M', 'bigalloc'],
  ['meta_bg', ext4(`${PLAIN},meta_bg,^resize_inode`, '-g', '256'), '5M', 'meta_bg'],
  [
    'meta_bg, 32 bits, no flex_bg',
    ext4(`${PLAIN},meta_bg,^resize_inode,^64bit,^flex_bg`, '-g', '256'),
    '10M',
    'meta_bg',
  ],
  ['meta_bg and bigalloc', ext4(`${PLAIN},meta_bg,bigalloc,^resize_inode`, '-C', '4096'), '1M', 'meta_bg'],
  ['sparse_super2', ext4(`${PLAIN},sparse_super2,^resize_inode`, '-g', '256'), '1M', 'sparse_super2'],
  ['no sparse_super', ext4(`${PLAIN},^sparse_super,^resize_inode`, '-g', '256'), '1M'],
  ['large_dir', ext4(`${PLAIN},large_dir`), '256K', 'large_dir'],
  ['inline data and ea_inode', ext4(`${PLAIN},inline_data,ea_inode`, '-I', '1024'), '512K', 'ea_inode'],
  ['a journal, orphan_file', ext4('^metadata_csum,orphan_file'), '2M', 'orphan_file'],
  ['mmp, no filetype', ext4(`${PLAIN},mmp,^filetype`), '256K', 'mmp'],
  ['project, verity', ext4(`${PLAIN},project,verity`), '256K', 'project'],
  ['revision 0', ['-t', 'ext2', '-b', '1024', '-r', '0'], '256K'],
  ['blocks of 2 KiB', ['-t', 'ext4', '-b', '2048', '-O', PLAIN], '512K'],
  ['blocks of 4 KiB', ['-t', 'ext4', '-b', '4096', '-O', PLAIN], '1M'],
  ['blocks of 64 KiB', ['-t', 'ext4', '-b', '65536', '-O', PLAIN], '8M'],
];

test.each(LAYOUTS)(
  'mutations of an image with %s end in a tree or in an error of ours',
  async (name, mkfs, size, feature) => {
    const image = await makeImage(join(folder.path, name), {
      mkfs: [...mkfs, '-N', '80'],
      size,
      tree: join(folder.path, 'tree'),
      // With mmp e2fsck waits for another machine to show itself.
      index: feature !== 'mmp',
    });
    if (feature !== undefined) expect((await run('dumpe2fs', ['-h', image])).stdout).toContain(` ${feature}`);
    const original = new Uint8Array(await readFile(image));
    expect(await readAllExt4(original)).toBe(true);
    const pieces = usedPieces(original);
    const next = random(7);
    let survived = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = mutatedImage(original, pieces, next);
      const took = await processorMsOf(async () => {
        if (await readAllExt4(bytes)) survived++;
      });
      expect(took, `round ${round}`).toBeLessThan(5_000);
    }
    // Both ends of the property were met.
    expect(survived).toBeGreaterThan(0);
    expect(survived).toBeLessThan(ROUNDS);
  },
);
