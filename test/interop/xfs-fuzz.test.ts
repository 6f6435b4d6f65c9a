import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { processorMsOf } from '../../fixtures/clock.ts';
import { scratch, whileMounted } from '../../fixtures/ext4-image.ts';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { memorySource } from '../../fixtures/memory-source.ts';
import { xfsForms } from '../../fixtures/xfs-forms.ts';
import { makeXfs, whyNoMkfs, whyNoXfsMount, writeProto, xfsDb } from '../../fixtures/xfs-image.ts';
import { attributeCommands, protoTree } from '../../fixtures/xfs-proto.ts';
import { openDisk } from '../../src/disk/open.ts';
import { isComposeError } from '../../src/errors.ts';
import { findRoot } from '../../src/filesystem/root.ts';
import { checksum } from '../../src/filesystem/xfs/checksum.ts';
import { openXfs } from '../../src/filesystem/xfs/open.ts';

const run = promisify(execFile);
const ROUNDS = 300;
const noMkfs = await whyNoMkfs();
const noMount = await whyNoXfsMount();
let folder: Awaited<ReturnType<typeof scratch>>;
beforeAll(async () => {
  folder = await scratch();
});
afterAll(() => folder[Symbol.asyncDispose]());

/** Everything that reads these bytes; the property is that it answers, or throws one of ours. */
async function readAll(bytes: Uint8Array): Promise<boolean> {
  const source = memorySource(bytes);
  try {
    const fs = await openXfs(source);
    for await (const { position, length } of fs.freeExtents()) {
      if (position + length > bytes.length) throw new Error('free beyond the end');
    }
    for await (const entry of fs.entries()) {
      if (!Number.isSafeInteger(entry.inode)) throw new Error('an inode that cannot be counted');
      for (const { position, length } of entry.data?.extents ?? []) {
        if (position + length > bytes.length) throw new Error('data beyond the end');
      }
    }
    await fs.lookup('/links/short/x', { follow: true });
    await findRoot(source).catch((error) => {
      if (error.code !== 'root.none') throw error;
    });
    return true;
  } catch (error) {
    if (!isComposeError(error)) throw error;
    return false;
  }
}

/** Where the checksum of a block is, by its magic and the magic's place. */
const CHECKSUMS: readonly (readonly [magic: string, at: number, field: number])[] = [
  ['XAGF', 0, 216],
  ['AB3B', 0, 52],
  ['BMA3', 0, 64],
  ['XARM', 0, 12],
  ['\x3b\xee', 8, 12],
  ['\x3e\xbe', 8, 12],
];

/** Makes the checksum over `at` right again, as somebody who wants to deceive would. */
function mend(bytes: Uint8Array, at: number, blockSize: number, directoryBlock: number): void {
  const [start, length, field] = checkedRange(bytes, at, blockSize, directoryBlock);
  if (length === 0) return;
  const part = bytes.subarray(start, start + length);
  new DataView(part.buffer, part.byteOffset, length).setUint32(field, checksum(part, field), true);
}

/** What the checksum over `at` covers, and where in it the checksum is. */
function checkedRange(bytes: Uint8Array, at: number, blockSize: number, directoryBlock: number) {
  const holds = (start: number, magic: string): boolean =>
    Buffer.from(bytes.subarray(start, start + magic.length)).toString('latin1') === magic;
  if (at < 512) return [0, 512, 224] as const;
  if (at < 1024) return [512, 512, 216] as const;
  const inode = at - (at % 512);
  if (holds(inode, 'IN')) return [inode, 512, 100] as const;
  const block = at - (at % blockSize);
  for (let start = block; start > at - directoryBlock && start > 0; start -= blockSize) {
    if (holds(start, 'XDB3') || holds(start, 'XDD3')) return [start, directoryBlock, 4] as const;
  }
  for (const [magic, place, field] of CHECKSUMS) {
    if (holds(block + place, magic)) return [block, blockSize, field] as const;
  }
  return [0, 0, 0] as const;
}

const VARIANTS = [
  ['version 5', ['-b', 'size=1024', '-n', 'size=4096'], false],
  ['version 5, checksums made right', ['-b', 'size=1024', '-n', 'size=4096'], true],
  ['version 5, blocks of 4 KiB', [], true],
  ['version 5 without bigtime, reflink and sparse inodes', ['-m', 'bigtime=0,reflink=0', '-i', 'sparse=0'], true],
  ['nrext64', ['-b', 'size=1024', '-i', 'nrext64=1'], true],
  ['version 4', ['-m', 'crc=0', '-b', 'size=512', '-i', 'size=256'], false],
  ['version 4 with file types', ['-m', 'crc=0', '-b', 'size=1024', '-n', 'ftype=1'], false],
] as const;

test.skipIf(noMkfs !== undefined).each(VARIANTS)(
  `mutations of %s end in a tree or in an error of ours${noMkfs ? ` (${noMkfs})` : ''}`,
  async (name, args, mended) => {
    const v4 = name.startsWith('version 4');
    const tree = protoTree(v4 ? { long: { to: `/${'l'.repeat(900)}` } } : {}, 0.2);
    const proto = await writeProto(join(folder.path, 'proto'), tree);
    const image = await makeXfs(join(folder.path, 'image'), '16M', [...args, '-d', 'agcount=1', '-p', proto]);
    await xfsDb(image, attributeCommands(0.25));
    await fuzz(new Uint8Array(await readFile(image)), mended);
  },
);

/** What only a kernel makes: trees of extents in both forks, values outside of the leaves, shared and unwritten blocks. */
const KERNEL_SCRIPT = `
import os, sys
os.chdir(sys.argv[1])
with open('strided', 'wb') as strided:
    os.truncate('strided', 400 * 4096)
    for i in range(200):
        strided.seek(i * 8192)
        strided.write(b'x')
with open('shared', 'wb') as shared: shared.write(b's' * 100000)
os.system('cp --reflink=auto shared copy; fallocate -o 8192 -l 65536 unwritten')
for name in ('one', 'two'): open(name, 'w').close()
for i in range(80):
    os.setxattr(('one', 'two')[i % 2], f'user.{i}', b'v' * (6000 if i % 5 == 0 else 2500))
os.symlink('t' * 1000, 'long')
for folder, count in (('few', 3), ('block', 30), ('leaf', 90), ('node', 800)):
    os.mkdir(folder)
    for i in range(count): open(f'{folder}/a-name-that-takes-some-room-{i}', 'w').close()
    os.utime(folder, (5000000000, 5000000000))
`;
const KERNEL_FORMS = [
  ...['local', 'block', 'leaf', 'node'].map((form) => `directory ${form}`),
  ...['file btree', 'attributes btree', 'symlink extents', 'bigtime', 'reflink'],
];

test.skipIf(noMount !== undefined).each([
  ['a kernel wrote', ['-b', 'size=1024', '-n', 'size=4096'], KERNEL_FORMS],
  [
    'a kernel wrote with nrext64',
    ['-b', 'size=1024', '-n', 'size=4096', '-i', 'nrext64=1'],
    [...KERNEL_FORMS, 'nrext64'],
  ],
])(
  `mutations of what %s end in a tree or in an error of ours${noMount ? ` (${noMount})` : ''}`,
  async (_, args, forms) => {
    const image = await makeXfs(join(folder.path, 'kernels'), '20M', [...args, '-d', 'agcount=1']);
    await whileMounted(image, 'rw,nouuid', (path) => run('python3', ['-c', KERNEL_SCRIPT, path]));
    {
      await using disk = await openDisk(image, { format: 'raw' });
      expect([...(await xfsForms(image, await openXfs(disk), /^[^/]*$/))]).toEqual(expect.arrayContaining(forms));
    }
    await fuzz(new Uint8Array(await readFile(image)), true);
  },
);

/** Sectors that hold anything, but for those of the log, of which a mount would see little more. */
async function usedSectors(bytes: Uint8Array): Promise<number[]> {
  const { logStart, logBlocks, blockSize } = (await openXfs(memorySource(bytes))).volume.superblock;
  // With one allocation group a block number is a place.
  const [log, end] = [logStart * blockSize, (logStart + logBlocks) * blockSize];
  const used: number[] = [];
  for (let at = 0; at < bytes.length; at += 512) {
    const inLog = at >= log + 8192 && at < end;
    if (!inLog && bytes.subarray(at, at + 512).some((byte) => byte !== 0)) used.push(at);
  }
  return used;
}

async function fuzz(bytes: Uint8Array, mended: boolean): Promise<void> {
  expect(await readAll(bytes)).toBe(true);
  const { blockSize, directoryBlocks } = (await openXfs(memorySource(bytes))).volume.superblock;
  const sectors = await usedSectors(bytes);
  const next = random(11);
  let survived = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const saved: [number, Uint8Array][] = [];
    for (let i = next() % 3; i >= 0; i--) {
      const at = next() % 6 === 0 ? (next() % 2) * 512 : sectors[next() % sectors.length]!;
      const around = Math.max(0, at - 65536);
      saved.push([around, bytes.slice(around, at + 65536)]);
      bytes.set(mutate(bytes.subarray(at, at + 512), next), at);
      if (mended) mend(bytes, at, blockSize, blockSize * directoryBlocks);
    }
    const cut = next() % 64 === 0 ? bytes.subarray(0, next() % bytes.length) : bytes;
    const took = await processorMsOf(async () => {
      if (await readAll(cut)) survived++;
    });
    expect(took, `round ${round}`).toBeLessThan(5_000);
    for (const [at, before] of saved.reverse()) bytes.set(before, at);
  }
  // Both ends of the property were met.
  expect(survived).toBeGreaterThan(0);
  expect(survived).toBeLessThan(ROUNDS);
}
