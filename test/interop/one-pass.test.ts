import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeDisk } from '../../fixtures/ext4-disk.ts';
import { makeImage, scratch } from '../../fixtures/ext4-image.ts';
import { makeSampleTree } from '../../fixtures/ext4-tree.ts';
import { random } from '../../fixtures/fuzz.ts';
import { quietContext } from '../../src/events.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import { FILE_TYPES, type FileType } from '../../src/pack/filetypes.ts';
import { pack } from '../../src/pack/pack.ts';
import type { PackOptions } from '../../src/pack/pack-options.ts';

const run = promisify(execFile);
const ALL = Object.keys(FILE_TYPES) as FileType[];
const LONG = 300_000;

let place: Awaited<ReturnType<typeof scratch>>;
let disk = '';
beforeAll(async () => {
  place = await scratch();
  const tree = join(place.path, 'tree');
  await mkdir(tree);
  await makeSampleTree(tree);
  await writeFile(join(tree, 'etc/os-release'), 'ID=sample\n');
  const next = random(7);
  await writeFile(
    join(tree, 'noise'),
    Uint8Array.from({ length: 12 * 1024 * 1024 }, () => next()),
  );
  const root = await makeImage(join(place.path, 'root.ext4'), { mkfs: ['-t', 'ext4'], size: '96M', tree });
  disk = await makeDisk(join(place.path, 'disk.raw'), [{ content: root }]);
}, LONG);
afterAll(() => place[Symbol.asyncDispose]());

const packed = (out: string, options: Partial<PackOptions>): ReturnType<typeof pack> =>
  pack({ disk, out: join(place.path, out), name: 'x', filetypes: ['tgz'], ...options }, quietContext());

test(
  'all filetypes made together are those made alone, and the manifest is that of the tree',
  async () => {
    // A level at which xz is quick: its blocks are as long as at any other.
    const options = { levels: { xz: 0, bzip2: 9, gzip: 5 } } as const;
    const together = await packed('together', { ...options, filetypes: ALL, manifest: true, workers: 2 });
    const facts = ({ file, size, sha256, uncompressedSize }: (typeof together.artifacts)[number]): unknown => ({
      file,
      size,
      sha256,
      uncompressedSize,
    });
    const alone = [];
    for (const filetype of ALL) alone.push(...(await packed('alone', { ...options, filetypes: [filetype] })).artifacts);
    expect(together.artifacts.map(facts)).toEqual(alone.map(facts));
    const walked = await packed('walked', { filetypes: ['ddraw'], manifest: true });
    const [passing, walking] = [together.treeManifest, walked.treeManifest];
    expect(await readFile(passing?.path ?? '', 'utf8')).toBe(await readFile(walking?.path ?? '', 'utf8'));
    expect(passing).toMatchObject({ entries: walking?.entries, treeDigest: walking?.treeDigest });
    expect(together.artifacts.map(({ treeDigest }) => treeDigest)).toEqual(
      ALL.map((type) => (FILE_TYPES[type].content === 'tree' ? passing?.treeDigest : undefined)),
    );
  },
  LONG,
);

test(
  'each byte of the disk is read once, however many outputs are made of it',
  async () => {
    const cli = join(packageRoot(), 'dist/src/cli/main.js');
    const readBytes = async (formats: string): Promise<number> => {
      const script = '"$@" 2>/dev/null >/dev/null && cat /proc/$$/io';
      const out = join(place.path, `io-${formats}`);
      const args = [process.execPath, cli, 'pack', disk, '--format', formats, '--name', 'x', '--out', out, '--no-seal'];
      const { stdout } = await run('sh', ['-c', script, 'sh', ...args]);
      return Number(/rchar: (\d+)/.exec(stdout)?.[1]);
    };
    const content = 12 * 1024 * 1024;
    // What Node reads of its own files differs by a few MiB.
    expect((await readBytes('ddgz,ddtgz,ddraw,ddtar,ddbz2')) - (await readBytes('ddgz'))).toBeLessThan(content / 2);
    expect((await readBytes('tgz,tbz')) - (await readBytes('tgz'))).toBeLessThan(content / 2);
  },
  LONG,
);
